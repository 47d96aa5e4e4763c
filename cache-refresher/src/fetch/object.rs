//! Objects in S3: the source of a host, and what a publisher reads and replaces.

use std::cell::RefCell;
use std::sync::Arc;

use config::Config;
use jiff::Timestamp;
use listing::{Failure, FailureKind};

use super::aws::s3::{Got, Object, Put};
use super::aws::{Calls, Means};
use super::document::Document;
use super::failure::{Reason, failure};
use super::pace::{Pace, Past};
use super::request::{Content, Progress};
use super::session::Session;

/// The object that is the source of this host.
pub(super) struct Remote<'a> {
    pub(super) config: &'a Config,
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) means: Means,
    /// What was read of it last.
    pub(super) kept: Option<Content>,
}

impl Document for Remote<'_> {
    fn name(&self) -> String {
        self.config.source.url().to_owned()
    }

    /// One request if it is unchanged; the kept document is then judged again, since it may have expired.
    async fn content(mut self) -> Result<Content, Failure> {
        let kept = self.kept.take();
        match (self.get(kept.as_ref().and_then(|kept| kept.etag.as_deref())).await?, kept) {
            (Some(content), _) => Ok(content),
            (None, Some(kept)) => Ok(kept),
            (None, None) => Err(failure("s3:GetObject", &self.name(), "no content", "", FailureKind::Held)),
        }
    }
}

impl Remote<'_> {
    /// By one request. `None`: it is still the one with this ETag.
    pub(super) async fn get(&self, known: Option<&str>) -> Result<Option<Content>, Failure> {
        let object = Object::open(self.config, (self.bucket, self.key), self.means.clone()).await?;
        match object.get(known).await.map_err(|refusal| refusal.failure)? {
            Got::Content(etag, bytes) => Ok(Some(Content { bytes, etag: Some(etag) })),
            Got::Unchanged => Ok(None),
        }
    }
}

/// An object in S3, which the publisher's configuration names. These calls block, each at most for `[aws] timeout`.
pub(crate) struct Published<'a> {
    pub(crate) config: &'a Config,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) session: &'a Session,
    /// Counts the requests.
    pub(crate) calls: Calls,
    pub(crate) progress: Arc<dyn Progress>,
    /// Its ETag and content as they were read last: it is transferred again only if it is another one.
    pub(crate) kept: RefCell<Option<(String, Vec<u8>)>>,
}

impl Published<'_> {
    /// Its ETag and content; none if it does not exist.
    pub(crate) fn get(&self) -> Result<Option<(String, Vec<u8>)>, Failure> {
        let kept = self.kept.take();
        let got = self.session.wait(async {
            match self.open().await?.get(kept.as_ref().map(|(etag, _)| etag.as_str())).await {
                Ok(Got::Content(etag, content)) => Ok(Some((etag, content))),
                Ok(Got::Unchanged) => Ok(kept),
                Err(refusal) if refusal.reason == Reason::NotFound => Ok(None),
                Err(refusal) => Err(refusal.failure),
            }
        });
        if let Ok(got) = &got {
            self.kept.replace(got.clone());
        }
        got.inspect_err(|_| self.session.reconnect())
    }

    /// Replaces the object with this ETag; `None`: only if there is none.
    pub(crate) fn put(&self, content: Vec<u8>, over: Option<&str>) -> Result<Put, Failure> {
        let put = async { self.open().await?.put(content, over).await.map_err(|refusal| refusal.failure) };
        self.session.wait(put).inspect_err(|_| self.session.reconnect())
    }

    async fn open(&self) -> Result<Object, Failure> {
        // The limits are those of the source.
        let pace = Pace::new(None, Past::default(), Timestamp::UNIX_EPOCH, false);
        let link = self.session.link.clone();
        let means = Means { calls: self.calls.clone(), pace, link, progress: Arc::clone(&self.progress) };
        Object::open(self.config, (self.bucket, self.key), means).await
    }
}
