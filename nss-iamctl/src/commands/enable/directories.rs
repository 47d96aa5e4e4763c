//! What the place of `iam` among the directories of nsswitch.conf means.

use message::Message;

use crate::edit::nsswitch::{self, Order};
use crate::inspect::checks::directories::{COST, asked_first, remedy};
use crate::say::show::some;

/// Of the file that is written; `order` is what the options ask for.
pub(super) fn remark(text: &[u8], order: Option<Order>) -> Option<Message> {
    let (before, after) = nsswitch::directories(text);
    if !before.is_empty() {
        let what = format!("{}, so its names stay its own, but {COST}", asked_first(&before));
        return Some(Message::new(what).with_hint(remedy(&before)));
    }
    if after.is_empty() || order != Some(Order::Before) {
        return None;
    }
    let names = some(&after);
    let what = format!(
        "'iam' is asked before {names}: lookups of nss-iam users do not wait for {names}, and those of its users ask 'iam' \
         first, which takes microseconds. A name that {names} gets later stays the nss-iam user's for up to a day, until names \
         are checked again; during that time, the password of that name in {names} opens the nss-iam user's account"
    );
    Some(Message::new(what).with_hint("nss-iamctl enable --after-directories takes it back"))
}
