//! What is compiled into every reader, which links nothing of ours, is what `policy` says: a reader refuses nothing that may
//! be published, and believes nothing else.

use policy::id::{self, COMPUTED, PINNED_FIRST, may_be_published};
use policy::{Id, Name};
use proptest::prelude::*;
use reader::{LEAST, NAME_MAX, floor, name_is_ours};

#[test]
fn readers_believe_the_ids_that_may_be_published_and_no_others() {
    assert_eq!(LEAST, PINNED_FIRST);
    let edges = [0, PINNED_FIRST, 65_534, 65_535, id::FIRST, id::LAST, u32::MAX];
    for edge in edges {
        for id in [edge.saturating_sub(1), edge, edge.saturating_add(1)] {
            for pinned in [false, true] {
                assert_eq!(floor(id, pinned), may_be_published(id, pinned), "{id} {pinned}");
            }
        }
    }
}

#[test]
fn readers_take_names_up_to_the_longest_that_is_published() {
    let longest =
        Name::new(&"a".repeat(policy::NAME_MAX)).unwrap().with_id(Id::pinned(*COMPUTED.end()).unwrap());
    assert_eq!(longest.as_str().len(), NAME_MAX);
    assert!(name_is_ours(longest.as_str().as_bytes()));
    assert!(!name_is_ours(format!("{longest}a").as_bytes()));
}

proptest! {
    #[test]
    fn of_any_id_reader_and_policy_say_the_same(id in any::<u32>(), pinned in any::<bool>()) {
        prop_assert_eq!(floor(id, pinned), may_be_published(id, pinned));
    }

    #[test]
    fn of_any_name_reader_and_policy_say_the_same(name in "[a-cZ0-9._@:é\n-]{0,6}|[a-z0-9._@-]{1,50}|\\PC*") {
        let fits = name.len() <= NAME_MAX;
        prop_assert_eq!(name_is_ours(name.as_bytes()), fits && Name::stored(name.as_str()).is_ok(), "{:?}", name);
    }
}
