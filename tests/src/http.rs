//! The part of HTTP/1.1 that a proxy between two well-behaved programs needs.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

/// A request or a response, read completely.
#[derive(Debug)]
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) start: String,
    /// In order, with their original spelling.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Reads the next one; none if the other side has closed the connection. Without a declared length, the
    /// body of a response ends with the connection, and a request has none.
    pub(crate) fn read(stream: &mut impl BufRead, answer: bool) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_until(b'\n', &mut head)? == 0 {
                return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
        let head = String::from_utf8_lossy(&head);
        let mut lines = head.lines().map(str::to_owned);
        let start = lines.next().unwrap_or_default();
        let fields =
            lines.filter_map(|line| line.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned())));
        let mut message = Self { start, headers: fields.collect(), body: Vec::new() };
        match message.header("content-length").map(str::parse) {
            Some(length) => {
                let length: u64 = length.map_err(io::Error::other)?;
                message.body.reserve(length.try_into().map_err(io::Error::other)?);
                if (stream.take(length).read_to_end(&mut message.body)? as u64) < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            None if answer => drop(stream.read_to_end(&mut message.body)?),
            None => {}
        }
        Ok(Some(message))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// The bytes to send, with the actual length of the body.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in
            self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
        {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        [text.as_bytes(), &self.body].concat()
    }
}

/// The fields of an `application/x-www-form-urlencoded` body.
pub(crate) fn form(body: &[u8]) -> HashMap<String, String> {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let mut sides = pair.splitn(2, |byte| *byte == b'=');
            (decoded(sides.next().unwrap_or_default()), decoded(sides.next().unwrap_or_default()))
        })
        .collect()
}

fn decoded(text: &[u8]) -> String {
    let mut rest = text.iter().copied();
    let mut bytes = Vec::new();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex: Vec<u8> = rest.by_ref().take(2).collect();
                u8::from_str_radix(&String::from_utf8_lossy(&hex), 16).unwrap_or(b'?')
            }
            _ => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
