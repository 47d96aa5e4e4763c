//! `--undo` on the tree of the tests of `--apply`.

use std::fs;

use super::host::{NONE, Refresher, Tree, apply};
use crate::cli::Adopt;
use crate::edit::backup::DIRECTORY;

/// With aws-ec2-ssh's line in sshd_config, which leaves with its last account.
#[test]
fn undo_restores_the_tree_and_whatever_fails_leaves_it_adopted() {
    for renumber in [false, true] {
        let Some(tree) = Tree::new() else { return };
        let before = tree.all();
        tree.adopt(Refresher::Publishes, Adopt { renumber, ..apply() }).unwrap();
        let adopted = tree.all();
        let undo = || Adopt { undo: true, ..apply() };
        // The fake refresher goes on publishing her.
        let failed = tree.adopt(Refresher::Publishes, undo()).unwrap_err().to_string();
        assert!(
            failed.contains("'ana' is still published") && failed.contains("all files were restored"),
            "{failed}"
        );
        assert_eq!(tree.changed(&adopted), NONE);
        let failed = tree.adopt_with(Refresher::Skips, false, undo()).unwrap_err().to_string();
        assert!(failed.contains("all files were restored"), "{failed}");
        assert_eq!(tree.changed(&adopted), NONE);
        let plan = tree.adopt(Refresher::Fails, Adopt { undo: true, ..Adopt::default() }).unwrap();
        assert!(plan.contains("write '/etc/ssh/sshd_config'"), "{plan}");
        assert_eq!(tree.changed(&adopted), NONE);
        assert_eq!(tree.adopt(Refresher::Leaves, undo()).unwrap(), plan);
        assert_eq!(tree.adopt(Refresher::Fails, undo()).unwrap(), "", "once is enough");
        fs::remove_dir_all(tree.path(DIRECTORY)).unwrap();
        assert_eq!(tree.changed(&before), NONE);
    }
}

#[test]
fn undo_needs_to_know_who_left() {
    let Some(tree) = Tree::new() else { return };
    tree.adopt(Refresher::Publishes, apply()).unwrap();
    fs::remove_file(tree.path("/var/lib/nss-iam/cache.db")).unwrap();
    let adopted = tree.all();
    let undo = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        tree.adopt(Refresher::Skips, Adopt { undo: true, names, ..apply() })
    };
    let refused = undo(&[]).unwrap_err().to_string();
    assert!(refused.contains("not known who left") && refused.contains("--undo --apply ana"), "{refused}");
    let refused = undo(&["bob"]).unwrap_err().to_string();
    assert!(refused.contains("'bob': not an adopted account that is missing"), "{refused}");
    assert_eq!(tree.changed(&adopted), NONE);
    undo(&["ana"]).unwrap();
    assert!(fs::read_to_string(tree.path("/etc/shadow")).unwrap().contains("ana:$6$x$y"));
}

/// A power cut, after which the timer's refresh found the account in passwd(5) and published the user as disabled.
#[test]
fn an_undo_that_was_interrupted_is_completed_by_the_next_one() {
    let Some(tree) = Tree::new() else { return };
    let before = tree.all();
    tree.adopt(Refresher::Publishes, apply()).unwrap();
    let undo = || Adopt { undo: true, ..apply() };
    let backup = tree.path(DIRECTORY);
    let adopted = fs::read_dir(&backup).unwrap().next().unwrap().unwrap().path();
    fs::write(adopted.join("undoing"), "ana\n").unwrap();
    fs::copy(adopted.join("etc/passwd"), tree.path("/etc/passwd")).unwrap();
    tree.adopt(Refresher::Leaves, apply()).unwrap_err().to_string().find("an undo").unwrap();
    fs::remove_file(tree.path("/var/lib/nss-iam/cache.db")).unwrap();
    tree.adopt(Refresher::Leaves, undo()).unwrap();
    fs::remove_dir_all(&backup).unwrap();
    assert_eq!(tree.changed(&before), NONE);
}
