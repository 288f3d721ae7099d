use comfy_table::Row;
use pgmill::{Namespace, Token};

use super::{Listed, Show};
use crate::style::{number, parts, row, text, time};

impl Show for Token {
    fn show(&self) -> String {
        parts([
            ("id", number(self.id)),
            ("name", text(&self.name)),
            ("role", text(self.role)),
            ("namespaces", text(namespaces(self))),
            ("created", time(Some(self.created_at))),
            ("created by", text(&self.created_by)),
            ("expires", time(self.expires_at)),
            ("revoked", time(self.revoked_at)),
            ("last used", time(self.last_used_at)),
        ])
    }
}

impl Listed for Token {
    const HEAD: &'static [&'static str] =
        &["ID", "NAME", "ROLE", "NAMESPACES", "CREATED BY", "EXPIRES", "REVOKED", "LAST USED"];

    fn row(&self) -> Row {
        row([
            number(self.id),
            text(&self.name),
            text(self.role),
            text(namespaces(self)),
            text(&self.created_by),
            time(self.expires_at),
            time(self.revoked_at),
            time(self.last_used_at),
        ])
    }
}

fn namespaces(token: &Token) -> String {
    let names = token.namespaces.as_ref();
    names.map_or("all".to_owned(), |names| names.iter().map(Namespace::as_str).collect::<Vec<_>>().join(", "))
}
