//! What is read from a plan.

use std::fmt::Write as _;

use serde_json::Value;

/// Names of statements with their plans.
pub(crate) type Plans = Vec<(&'static str, Vec<Value>)>;

/// The shapes of plans: which nodes, over which index of which table.
pub(crate) fn shapes(plans: &Plans) -> String {
    let mut text = String::new();
    for (name, plans) in plans {
        let _ = writeln!(text, "# {name}");
        for plan in plans {
            text.push_str(&shape(plan, 0));
        }
    }
    text
}

pub(crate) fn shape(node: &Value, depth: usize) -> String {
    let mut line = String::new();
    for key in
        ["Subplan Name", "Operation", "Node Type", "Join Type", "Index Name", "Relation Name", "CTE Name"]
    {
        if let Some(word) = node[key].as_str() {
            let _ = write!(line, "{}{}", if line.is_empty() { "" } else { " " }, undated(word));
        }
    }
    let mut text = format!("{:indent$}{line}\n", "", indent = 2 * depth);
    let mut last = String::new();
    for child in node["Plans"].as_array().into_iter().flatten() {
        let child = shape(child, depth + 1);
        // One line stands for all partitions.
        if child != last {
            text.push_str(&child);
        }
        last = child;
    }
    text
}

/// Without the day of a partition and the numbers of subplans and parameters.
fn undated(name: &str) -> String {
    let word = name.split(" (returns").next().unwrap_or(name);
    let numbered = |word: &str| word.starts_with("InitPlan") || word.starts_with("SubPlan");
    if numbered(word) || word.contains("_20") {
        word.chars().filter(|c| !c.is_ascii_digit()).collect::<String>().trim().to_owned()
    } else {
        word.to_owned()
    }
}

/// How many rows of `task` were looked at.
pub(crate) fn rows_of_task(node: &Value) -> u64 {
    rows_by(node, &|table| table == "task")
}

/// How many rows were looked at of tables whose names begin so.
pub(crate) fn rows_of(node: &Value, prefix: &str) -> u64 {
    rows_by(node, &|table| table.starts_with(prefix))
}

fn rows_by(node: &Value, is_wanted: &dyn Fn(&str) -> bool) -> u64 {
    let here = if node["Relation Name"].as_str().is_some_and(is_wanted)
        && node["Node Type"].as_str().is_some_and(|n| n.ends_with("Scan"))
    {
        let rows = number(node, "Actual Rows") + number(node, "Rows Removed by Filter");
        rows * number(node, "Actual Loops")
    } else {
        0
    };
    let below = node["Plans"].as_array().into_iter().flatten().map(|node| rows_by(node, is_wanted));
    here + below.sum::<u64>()
}

/// A number of a plan. Rows are an average over the loops, and from PostgreSQL 18 on a fraction: counted as one more.
pub(crate) fn number(node: &Value, key: &str) -> u64 {
    let value = &node[key];
    value.as_u64().or_else(|| value.as_f64().map(|number| number.ceil() as u64)).unwrap_or(0)
}
