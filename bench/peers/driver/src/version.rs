//! Which version of a system is driven.

const LOCK: &str = include_str!("../../Cargo.lock");

/// The version of a package as the lock file has it; the newest where there are several.
pub fn locked(package: &str) -> String {
    find(LOCK, package).unwrap_or("unknown").to_owned()
}

/// In a lock file, the version follows the name, and packages are in order.
fn find<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"\nversion = \"");
    let at = lock.rfind(&name)? + name.len();
    lock[at..].split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_that_of_the_whole_name() {
        let lock = "name = \"awa-model\"\nversion = \"2.0.0\"\n\nname = \"awa\"\nversion = \"1.2.3\"\n";
        assert_eq!(find(lock, "awa"), Some("1.2.3"));
        assert_eq!(find(lock, "aw"), None);
    }
}
