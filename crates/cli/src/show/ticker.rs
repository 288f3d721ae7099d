use comfy_table::Row;
use pgmill::Ticker;

use super::{Listed, Show};
use crate::style::{day_and_time, duration, json, optional, parts, row, text, time};

impl Show for Ticker {
    fn show(&self) -> String {
        let all = [
            ("ticker", text(&self.ticker)),
            ("namespace", text(&self.namespace)),
            ("interval", duration(self.interval)),
            ("cron", optional(self.cron.as_ref())),
            ("time zone", optional(self.time_zone.as_ref())),
            ("last tick", time(self.timestamp)),
            ("next tick", time(self.next_at)),
            ("queue", optional(self.queue.as_ref())),
            ("policy", text(self.policy)),
            ("payload", json(Some(&self.payload))),
        ];
        parts(all.into_iter().filter(|(_, cell)| cell.content() != "-"))
    }
}

impl Listed for Ticker {
    const HEAD: &'static [&'static str] = &["TICKER", "EVERY", "LAST TICK", "NEXT TICK", "QUEUE", "PAYLOAD"];

    fn row(&self) -> Row {
        let every = match &self.cron {
            Some(cron) => text(cron),
            None => duration(self.interval),
        };
        row([
            text(&self.ticker),
            every,
            day_and_time(self.timestamp),
            day_and_time(self.next_at),
            optional(self.queue.as_ref()),
            json(Some(&self.payload)),
        ])
    }
}
