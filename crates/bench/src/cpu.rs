//! How long processes were at work, as Linux tells it. Elsewhere nothing is known of others.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// In what part of a second Linux tells processes how long they ran, whatever its own clock.
const TICKS: u64 = 100;

/// How long a process was at work on all cores together, and those of its children that have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worked {
    parent: u32,
    pub(crate) own: Duration,
    ended_children: Duration,
}

/// The processes of the machine at one moment.
#[derive(Debug)]
pub(crate) struct Processes {
    by_id: HashMap<u32, Worked>,
}

/// How long the server and its clients were at work so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    /// `None` where the server is on another machine.
    pub(crate) server: Option<Duration>,
    /// This program and those that it has started, but for the server.
    pub(crate) client: Duration,
}

impl Cpu {
    /// Up to now, with the server of which this is the first process.
    pub(crate) fn now(postmaster: Option<u32>) -> anyhow::Result<Self> {
        let processes = Processes::read();
        let own =
            |who| getrusage(who).map(|usage| duration(usage.user_time()) + duration(usage.system_time()));
        let this = own(UsageWho::RUSAGE_SELF)? + own(UsageWho::RUSAGE_CHILDREN)?;
        let server = postmaster.and_then(|id| processes.of_tree(id));
        Ok(Self { server, client: this + processes.of_children(std::process::id(), postmaster) })
    }
}

impl Processes {
    fn read() -> Self {
        let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self { by_id: ids.filter_map(|id| Some((id, Worked::of(id)?))).collect() }
    }

    /// A process and all that it has started.
    fn of_tree(&self, id: u32) -> Option<Duration> {
        let Worked { own, ended_children, .. } = self.by_id.get(&id)?;
        Some(*own + *ended_children + self.of_children(id, None))
    }

    fn of_children(&self, id: u32, without: Option<u32>) -> Duration {
        let children = self.by_id.iter().filter(|(child, it)| it.parent == id && Some(**child) != without);
        children.filter_map(|(child, _)| self.of_tree(*child)).sum()
    }
}

impl Worked {
    /// `None` where there is no such process, or no telling.
    pub(crate) fn of(id: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name of the program is in parentheses, and may hold anything; of what follows, the parent is the 2nd, and how
        // long it ran as itself and in the kernel the 12th and 13th, its ended children the two after.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
        let time = |ticks: u64| Duration::from_millis(ticks * 1_000 / TICKS);
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: time(ticks(11)? + ticks(12)?),
            ended_children: time(ticks(13)? + ticks(14)?),
        })
    }
}

/// The first process of the server, by one of its processes, where that is on this machine: its title has the mark.
pub(crate) fn postmaster(backend: u32, mark: &str) -> Option<u32> {
    let title = fs::read_to_string(format!("/proc/{backend}/cmdline")).ok()?;
    (title.starts_with("postgres") && title.contains(mark))
        .then(|| Worked::of(backend))
        .flatten()
        .map(|it| it.parent)
}

fn duration(time: TimeVal) -> Duration {
    let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worked(parent: u32, own: u64, ended_children: u64) -> Worked {
        Worked { parent, own: Duration::from_secs(own), ended_children: Duration::from_secs(ended_children) }
    }

    #[test]
    fn what_a_process_took_is_read_as_linux_tells_it() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 99 0 0 0 150 50 300 100 20 0 3 0 5 6 7";
        assert_eq!(Worked::parse(stat), Some(worked(1, 2, 4)));
        assert_eq!(Worked::parse("7 (a) S 1"), None);
    }

    #[test]
    fn a_tree_is_its_processes_and_those_that_have_ended() {
        let all = [
            (1, worked(0, 100, 0)),
            (2, worked(1, 1, 10)),
            (3, worked(2, 5, 0)),
            (4, worked(3, 7, 0)),
            (5, worked(1, 50, 0)),
        ];
        let processes = Processes { by_id: HashMap::from(all) };
        assert_eq!(processes.of_tree(2), Some(Duration::from_secs(23)));
        assert_eq!(processes.of_children(1, Some(2)), Duration::from_secs(50));
        assert_eq!(processes.of_tree(9), None);
    }

    #[test]
    fn a_process_that_is_no_server_is_not_taken_for_one() {
        assert_eq!(postmaster(std::process::id(), "[local]"), None);
    }
}
