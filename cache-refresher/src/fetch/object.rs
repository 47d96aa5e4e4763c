//! The object that a publisher reads and replaces. These calls block, each at most for `[aws] timeout`.

use std::sync::Arc;

use config::Config;
use jiff::Timestamp;
use listing::{Failure, FailureKind};
use tokio::runtime::{Builder, Runtime};

use super::aws::s3::{Got, Object, Put};
use super::aws::{Calls, Means};
use super::failure::{Reason, failure};
use super::pace::{Pace, Past};
use super::request::Progress;

/// An object in S3, which the publisher's configuration names.
pub(crate) struct Published<'a> {
    pub(crate) config: &'a Config,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    /// Counts the requests.
    pub(crate) calls: Calls,
    pub(crate) progress: Arc<dyn Progress>,
}

impl Published<'_> {
    /// Its ETag and content; none if it does not exist.
    pub(crate) fn get(&self) -> Result<Option<(String, Vec<u8>)>, Failure> {
        self.runtime()?.block_on(async {
            match self.open().await?.get(None).await {
                Ok(Got::Content(etag, content)) => Ok(Some((etag, content))),
                Ok(Got::Unchanged) => Ok(None),
                Err(refusal) if refusal.reason == Reason::NotFound => Ok(None),
                Err(refusal) => Err(refusal.failure),
            }
        })
    }

    /// Replaces the object with this ETag; `None`: only if there is none.
    pub(crate) fn put(&self, content: Vec<u8>, over: Option<&str>) -> Result<Put, Failure> {
        let put = async { self.open().await?.put(content, over).await.map_err(|refusal| refusal.failure) };
        self.runtime()?.block_on(put)
    }

    async fn open(&self) -> Result<Object, Failure> {
        // The limits are those of the source.
        let pace = Pace::new(None, Past::default(), Timestamp::UNIX_EPOCH, false);
        let means = Means { calls: self.calls.clone(), pace, progress: Arc::clone(&self.progress) };
        Object::open(self.config, (self.bucket, self.key), means).await
    }

    fn runtime(&self) -> Result<Runtime, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map_err(|cause| failure("publish", "this host", &cause.to_string(), "", FailureKind::Other))
    }
}
