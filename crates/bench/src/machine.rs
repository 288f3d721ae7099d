//! Where figures come from: they mean nothing without it.

use std::fs;

use serde::{Deserialize, Serialize};

/// The machine, the server and its settings, and the date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// In one line.
    pub(crate) machine: String,
    pub(crate) date: String,
}

impl Origin {
    /// With the settings of the server, by name.
    pub(crate) fn new(settings: &[(String, String)], place: &str, date: String) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut parts = vec![format!("{cores} cores")];
        let told = |file: &str| fs::read_to_string(file).unwrap_or_default();
        parts.extend(processor(&told("/proc/cpuinfo")));
        parts.extend(load(&told("/proc/loadavg")));
        parts.push(format!("pgmill {}", env!("CARGO_PKG_VERSION")));
        for (name, value) in settings {
            let name = if name == "server_version" { "PostgreSQL" } else { name };
            parts.push(format!("{name} {value}"));
        }
        Self { machine: format!("{} ({place})", parts.join(", ")), date }
    }
}

/// What Linux says of the first processor.
fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// How busy the machine was before, over a minute.
fn load(loadavg: &str) -> Option<String> {
    Some(format!("load {}", loadavg.split(' ').next().filter(|load| !load.is_empty())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells_of_the_machine_is_read() {
        let cpuinfo =
            "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nprocessor\t: 1\nmodel name\t: Other\n";
        assert_eq!(processor(cpuinfo).as_deref(), Some("Some CPU @ 2.0GHz"));
        assert_eq!(load("0.52 0.58 0.59 1/467 12345\n").as_deref(), Some("load 0.52"));
        assert_eq!((processor(""), load("")), (None, None));
    }
}
