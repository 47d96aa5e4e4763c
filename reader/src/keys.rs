//! `keys.db`: the keys that are offered to sshd. The columns are those of `cache/src/schema.sql`.
//!
//! Rows have no `pinned` mark, so the floor here is the lowest one, 1000; keys-cmd compares the uid with sshd's.
#![forbid(unsafe_code)]

use crate::check;
use crate::file::Map;
use crate::header::HEADER;
use crate::pages::Pages;
use crate::readable::Tried;
use crate::record::Record;
use crate::text::Text;
use crate::tree;
use crate::{Error, Result};

/// "niak".
const APPLICATION: u32 = 0x6e69_616b;

/// An open `keys.db`.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    pages: Pages<'a>,
    about: u32,
    login: u32,
    login_name: u32,
}

/// The settings that apply to all keys.
pub struct About<'a> {
    /// `machine-id(5)` of the host that the file was made for.
    pub machine_id: Text<'a>,
    /// How long a key is offered after its confirmation, in seconds; 0: no limit.
    pub max_age: i64,
    /// `authorized_keys` options before every key, one line of printable ASCII; may be empty.
    pub options: Text<'a>,
    /// Identifies the content of the file; any text. None in files of before version 104.
    pub digest: Option<Text<'a>>,
}

/// An active user's keys.
pub struct Login<'a> {
    /// 1000 or more.
    pub uid: u32,
    /// At most [`crate::NAME_MAX`] bytes.
    pub name: Text<'a>,
    /// IAM's UserId; any text.
    pub iam_id: Text<'a>,
    /// When the source last listed these keys, seconds since 1970.
    pub confirmed: i64,
    /// The source that listed them; any text.
    pub source: Text<'a>,
    /// Lines `SHA256:<base64> <type> <base64>`, of printable ASCII, joined by newlines.
    pub keys: Text<'a>,
    /// Whether they are offered only to an sshd that lets the user run nothing.
    pub forward_only: bool,
    /// Lines of printable ASCII: what a certificate's principal may be instead of the name. None in files of before version
    /// 102.
    pub principals: Option<Text<'a>>,
}

impl<'a> Keys<'a> {
    /// Checks the header and finds the tables of a mapped file.
    ///
    /// # Errors
    /// [`Error::Foreign`], [`Error::Corrupt`], and [`Error::System`] with EIO for a page that cannot be read, like all
    /// functions of this type.
    pub fn of(map: &'a Map) -> Result<Self> {
        Self::read(&map.header(), map.body(), Some(map.tried()))
    }

    /// The same for bytes that nobody writes to.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn open(file: &'a [u8]) -> Result<Self> {
        match file.split_first_chunk() {
            Some((header, body)) => Self::read(header, body, None),
            None => Err(Error::Corrupt("shorter than a header")),
        }
    }

    fn read(header: &[u8; HEADER], body: &'a [u8], tried: Option<&'a Tried>) -> Result<Self> {
        let pages = Pages::open(header, body, tried, APPLICATION)?;
        let [about, login, login_name] = tree::roots(&pages, ["about", "login", "login_name"])?;
        Ok(Keys { pages, about, login, login_name })
    }

    /// The only row of `about`.
    pub fn about(&self) -> Result<About<'_>> {
        let Some(row) = tree::row(&self.pages, self.about, 1)? else {
            return Err(Error::Corrupt("no row in 'about'"));
        };
        let mut row = Record::new(row)?;
        row.rowid()?;
        let (machine_id, max_age, options) = (row.text()?, row.int()?, check::line(row.text()?)?);
        // Of the signed listing that the file was made from: only the refresher reads it.
        if !row.is_at_end() {
            row.text()?;
            row.int()?;
            row.text()?;
        }
        let digest = if row.is_at_end() { None } else { Some(row.text()?) };
        let about = About { machine_id, max_age, options, digest };
        if about.max_age < 0 { Err(Error::Corrupt("impossible age")) } else { Ok(about) }
    }

    /// The keys of the user with this login name.
    pub fn login_by_name(&self, name: &[u8]) -> Result<Option<Login<'_>>> {
        let Some(uid) = tree::rowid_of(&self.pages, self.login_name, name)? else {
            return Ok(None);
        };
        match tree::row(&self.pages, self.login, uid)?.map(|row| Login::read(uid, row)).transpose()? {
            Some(login) if login.name.compare(name).is_eq() => Ok(Some(login)),
            _ => Err(Error::Corrupt("an index differs from its table")),
        }
    }

    /// The keys of the user with this uid.
    pub fn login_by_uid(&self, uid: u32) -> Result<Option<Login<'_>>> {
        let row = tree::row(&self.pages, self.login, i64::from(uid))?;
        row.map(|row| Login::read(i64::from(uid), row)).transpose()
    }
}

impl<'a> Login<'a> {
    fn read(uid: i64, row: Text<'a>) -> Result<Self> {
        let uid = match u32::try_from(uid) {
            Ok(uid) if check::floor(uid, true) => uid,
            _ => return Err(Error::Corrupt("uid below the floor")),
        };
        let mut row = Record::new(row)?;
        row.rowid()?;
        Ok(Login {
            uid,
            name: check::name(row.text()?)?,
            iam_id: row.text()?,
            confirmed: row.int()?,
            source: row.text()?,
            keys: check::lines(row.text()?)?,
            // Before version 101, there was no such user.
            forward_only: !row.is_at_end() && row.bool()?,
            principals: if row.is_at_end() { None } else { Some(check::lines(row.text()?)?) },
        })
    }
}
