//! Like `src/sync.rs` and `reader/src/sync.rs`, with loom's types. The order of an access is the one that is written in the
//! file under test, except for the line that [`WEAKENED`] names.

use std::panic::Location;
use std::sync::LazyLock;

pub(crate) use loom::cell::UnsafeCell;
pub(crate) use loom::sync::atomic::Ordering;

/// `slots.rs:92`: the line whose order becomes Relaxed; unset in all runs but those of `weakened`.
pub(crate) const WEAKENED: &str = "NSS_IAM_WEAKENED";

#[expect(clippy::disallowed_methods, reason = "set by a test for itself")]
static LINE: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(WEAKENED).ok());

#[track_caller]
fn order(order: Ordering) -> Ordering {
    let Some(line) = LINE.as_ref() else { return order };
    let here = Location::caller();
    if format!("{}:{}", here.file(), here.line()).ends_with(&format!("/{line}")) {
        Ordering::Relaxed
    } else {
        order
    }
}

macro_rules! atomics {
    ($( $name:ident of $value:ty: $( $change:ident ),*; )*) => { $(
        pub(crate) struct $name(loom::sync::atomic::$name);

        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            #[track_caller]
            pub(crate) fn load(&self, with: Ordering) -> $value {
                self.0.load(order(with))
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $value, with: Ordering) {
                self.0.store(value, order(with));
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                old: $value,
                new: $value,
                with: Ordering,
                failed: Ordering,
            ) -> Result<$value, $value> {
                self.0.compare_exchange(old, new, order(with), failed)
            }

            $(
                #[track_caller]
                pub(crate) fn $change(&self, value: $value, with: Ordering) -> $value {
                    self.0.$change(value, order(with))
                }
            )*
        }
    )* };
}

atomics! {
    AtomicBool of bool: swap;
    AtomicU8 of u8: fetch_or;
    AtomicU32 of u32: swap, fetch_add, fetch_sub;
    AtomicU64 of u64: ;
}
