//! TOML files merged into one tree in which every value keeps its file and line, and typed access to it.
//!
//! With serde, merged values would lose their position, as would values that parse but are wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use message::near::distance;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::Error;

/// A value and its position.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Its name in messages: `users.shell`.
    key: String,
    path: Rc<Path>,
    line: usize,
    value: Value,
}

#[derive(Debug, Clone)]
enum Value {
    Text(String),
    /// None: out of range.
    Integer(Option<i64>),
    Bool(bool),
    Array(Vec<Item>),
    Table(Table),
    /// A float or a date: no key accepts these.
    Other,
}

/// A table's entries by key, without prefix.
pub(crate) type Table = BTreeMap<String, Item>;

/// Parses one file into the entries of its root table.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Table, Error> {
    let file = File { path: path.into(), ends: text.match_indices('\n').map(|(at, _)| at).collect() };
    let root = DeTable::parse(text).map_err(|e| Error::Wrong {
        path: path.to_owned(),
        line: file.line(e.span().map_or(0, |span| span.start)),
        what: e.message().replace('\n', "; "),
        hint: "the file is TOML: key = \"text\", key = 8, key = true, key = [\"a\", \"b\"]".to_owned(),
    })?;
    Ok(file.table("", root.get_ref()))
}

/// Merges `over` into `base`: tables are merged by key, `[[account]]` entries are appended, all other values are
/// replaced.
pub(crate) fn merge(base: &mut Table, over: Table) {
    for (key, item) in over {
        match (base.get_mut(&key).map(|old| &mut old.value), item.value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) if item.key == "account" => old.extend(new),
            (_, value) => {
                base.insert(key, Item { value, ..item });
            }
        }
    }
}

/// Whether the table has this key, or a table of this name that has the rest of it.
pub(crate) fn has(table: &Table, key: &[&str]) -> bool {
    match key {
        [] => true,
        [first, rest @ ..] => table.get(*first).is_some_and(|item| match &item.value {
            Value::Table(inner) => has(inner, rest),
            _ => rest.is_empty(),
        }),
    }
}

struct File {
    path: Rc<Path>,
    /// Where each line ends: the offsets of the newlines, in bytes.
    ends: Vec<usize>,
}

impl File {
    /// The number of the line, from 1, that contains the byte.
    fn line(&self, at: usize) -> usize {
        1 + self.ends.partition_point(|end| *end < at)
    }

    fn table(&self, of: &str, table: &DeTable<'_>) -> Table {
        let entry = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
            let plain = key.get_ref().to_string();
            let dot = if of.is_empty() { "" } else { "." };
            let name = format!("{of}{dot}{}", plain.escape_debug());
            (plain, self.item(name, key.span().start, value.get_ref()))
        };
        table.iter().map(entry).collect()
    }

    fn item(&self, key: String, at: usize, value: &DeValue<'_>) -> Item {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(n) => Value::Integer(i64::from_str_radix(n.as_str(), n.radix()).ok()),
            DeValue::Boolean(yes) => Value::Bool(*yes),
            DeValue::Array(array) => {
                let element = |v: &Spanned<DeValue<'_>>| self.item(key.clone(), v.span().start, v.get_ref());
                Value::Array(array.iter().map(element).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(&key, table)),
            DeValue::Float(_) | DeValue::Datetime(_) => Value::Other,
        };
        Item { key, path: Rc::clone(&self.path), line: self.line(at), value }
    }
}

impl Item {
    pub(crate) fn text(&self) -> Result<&str, Error> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.not_a("a string in quotes")),
        }
    }

    pub(crate) fn integer(&self) -> Result<i64, Error> {
        match self.value {
            Value::Integer(Some(n)) => Ok(n),
            _ => Err(self.not_a("a whole number without quotes")),
        }
    }

    pub(crate) fn bool(&self) -> Result<bool, Error> {
        match self.value {
            Value::Bool(yes) => Ok(yes),
            _ => Err(self.not_a("true or false, without quotes")),
        }
    }

    pub(crate) fn array(&self) -> Result<&[Item], Error> {
        match &self.value {
            Value::Array(items) => Ok(items),
            _ => Err(self.not_a("a list in square brackets")),
        }
    }

    pub(crate) fn table(&self) -> Result<&Table, Error> {
        match &self.value {
            Value::Table(table) => Ok(table),
            _ => Err(self.not_a("a table")),
        }
    }

    fn not_a(&self, expected: &str) -> Error {
        let found = match self.value {
            Value::Text(_) => "a string",
            Value::Integer(Some(_)) => "a number",
            Value::Integer(None) => "too large a number",
            Value::Bool(_) => "a boolean",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table (a dot outside quotes makes one)",
            Value::Other => "a number with a fraction, or a date",
        };
        self.error(format!("'{}' is {found}", self.key), format!("it must be {expected}"))
    }

    /// The error for a value of the right type that is wrong.
    pub(crate) fn wrong(&self, why: &str, hint: &str) -> Error {
        let value = match &self.value {
            Value::Text(text) => text.escape_debug().to_string(),
            Value::Integer(Some(n)) => n.to_string(),
            _ => return self.error(format!("'{}' is wrong: {why}", self.key), hint.to_owned()),
        };
        self.error(format!("'{value}' is not valid for '{}': {why}", self.key), hint.to_owned())
    }

    fn error(&self, what: String, hint: String) -> Error {
        Error::Wrong { path: PathBuf::from(&*self.path), line: self.line, what, hint }
    }
}

/// A table with a fixed set of keys: any key that is not taken out is unknown.
pub(crate) struct Section {
    name: String,
    entries: Table,
    known: Vec<&'static str>,
}

impl Section {
    /// `name` is used in messages: `[users]`.
    pub(crate) fn new(name: &str, entries: Table) -> Self {
        Self { name: name.to_owned(), entries, known: Vec::new() }
    }

    /// Takes out a key.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Item> {
        self.known.push(key);
        self.entries.remove(key)
    }

    /// Takes out a key and, if it exists, stores the value that `read` returns in `slot`.
    pub(crate) fn set<T>(
        &mut self,
        key: &'static str,
        slot: &mut T,
        read: impl FnOnce(&Item) -> Result<T, Error>,
    ) -> Result<(), Error> {
        if let Some(item) = self.take(key) {
            *slot = read(&item)?;
        }
        Ok(())
    }

    /// Takes out a table; a missing one counts as empty.
    pub(crate) fn section(&mut self, key: &'static str) -> Result<Section, Error> {
        let entries = match self.take(key) {
            Some(item) => item.table()?.clone(),
            None => Table::new(),
        };
        Ok(Section::new(&format!("[{key}]"), entries))
    }

    /// Refuses keys that were not taken out.
    pub(crate) fn end(self) -> Result<(), Error> {
        let Some((key, item)) = self.entries.first_key_value() else {
            return Ok(());
        };
        let near = self.known.iter().map(|known| (distance(key, known), known)).min();
        let hint = match near {
            Some((0..=2, known)) => format!("did you mean '{known}'?"),
            _ => format!("the keys of {} are {}", self.name, self.known.join(", ")),
        };
        Err(item.error(format!("unknown key '{}' in {}", key.escape_debug(), self.name), hint))
    }
}
