//! Repositories of every shape, against what git itself says of them.

use super::*;

/// Everything git says is there is listed and read, byte for byte, and nothing else.
async fn check_against_git(sandbox: &Sandbox, folder: &str) -> Seen {
    let seen = sandbox.repository(folder).await;
    let expected = sandbox.objects(folder);
    assert_eq!(seen.ids(), expected.keys().cloned().collect(), "{folder}");
    for (id, kind) in &expected {
        let output = sandbox.command("git", &sandbox.path(folder)).args(["cat-file", kind, id]).output().expect("git runs");
        assert!(output.status.success());
        assert_eq!(seen.object(id), Some(output.stdout.as_slice()), "{kind} {id}");
    }
    seen
}

/// A repository with something of everything; gives the ids of interest.
fn full(sandbox: &Sandbox, folder: &str) -> BTreeMap<&'static str, String> {
    let mut ids = BTreeMap::new();
    sandbox.init(folder);
    ids.insert("first", sandbox.add(folder, "src/main.txt", "secret-in-main\n"));
    ids.insert("main blob", sandbox.git(folder, "rev-parse HEAD:src/main.txt"));
    sandbox.add(folder, "other.txt", "other\n");
    // Removed again: only history holds it.
    ids.insert("removed commit", sandbox.add(folder, "removed.txt", "secret-in-removed\n"));
    ids.insert("removed blob", sandbox.git(folder, "rev-parse HEAD:removed.txt"));
    fs::remove_file(sandbox.path(&format!("{folder}/removed.txt"))).expect("removed");
    sandbox.commit(folder, "remove it");
    // Moved.
    sandbox.git(folder, "mv src/main.txt src/moved.txt");
    ids.insert("moved", sandbox.commit(folder, "move it"));
    // On a branch that is deleted.
    sandbox.git(folder, "checkout -q -b doomed");
    ids.insert("doomed commit", sandbox.add(folder, "doomed.txt", "secret-in-doomed\n"));
    ids.insert("doomed blob", sandbox.git(folder, "rev-parse HEAD:doomed.txt"));
    sandbox.git(folder, "checkout -q main");
    sandbox.git(folder, "branch -q -D doomed");
    // On a tag only.
    sandbox.git(folder, "checkout -q --detach");
    ids.insert("tagged commit", sandbox.add(folder, "tagged.txt", "secret-in-tagged\n"));
    ids.insert("tagged blob", sandbox.git(folder, "rev-parse HEAD:tagged.txt"));
    sandbox.git_args(folder, &["tag", "-a", "v1", "-m", "secret-in-tag-message"]);
    ids.insert("tag", sandbox.git(folder, "rev-parse v1"));
    sandbox.git(folder, "checkout -q main");
    // In the stash.
    sandbox.write(&format!("{folder}/other.txt"), "secret-in-stash\n");
    sandbox.git(folder, "stash -q");
    ids.insert("stash blob", sandbox.git(folder, "rev-parse stash:other.txt"));
    // In no commit at all.
    ids.insert("loose blob", sandbox.hash_object(folder, "blob", b"secret-in-nothing\n"));
    ids.insert("message", sandbox.commit(folder, "secret-in-message"));
    ids
}

const SECRETS: [&str; 9] = [
    "secret-in-main",
    "secret-in-removed",
    "secret-in-doomed",
    "secret-in-tagged",
    "secret-in-tag-message",
    "secret-in-stash",
    "secret-in-nothing",
    "secret-in-message",
    "Ada Author",
];

#[tokio::test]
async fn loose_packed_and_mixed() {
    let sandbox = Sandbox::new();
    let ids = full(&sandbox, "repo");
    let check = async |state: &str| {
        let seen = check_against_git(&sandbox, "repo").await;
        assert_eq!(seen.gaps, [], "{state}");
        for secret in SECRETS {
            assert!(seen.holds(secret), "{state}: {secret}");
        }
        assert_eq!(seen.names(TargetKind::Repository), [sandbox.path("repo").to_str().expect("text")]);
        let notes = |id: &str| {
            seen.artifacts.iter().find(|(_, artifact)| artifact.id.name.ends_with(id)).map(|(_, artifact)| artifact.notes.clone())
        };
        assert_eq!(notes(&ids["message"]), Some(vec!["commit message".to_owned()]));
        assert_eq!(notes(&ids["tag"]), Some(vec!["tag message".to_owned()]));
        assert_eq!(notes(&ids["main blob"]), Some(vec![]));
        let artifact = &seen.artifacts[0].1;
        assert!(artifact.content.as_ref().is_some_and(|key| artifact.id.name.ends_with(key.0.trim_start_matches("git:"))));
    };
    check("loose").await;
    sandbox.git("repo", "repack -q -d");
    check("reached ones packed, others loose").await;
    sandbox.git("repo", "repack -q -a -d -k --depth=50 --window=50");
    check("all in one pack").await;
    sandbox.add("repo", "late.txt", "late\n");
    sandbox.git("repo", "repack -q -d");
    check("two packs").await;
    sandbox.git("repo", "multi-pack-index write");
    sandbox.git("repo", "commit-graph write");
    check("with a multi-pack index").await;
    // The same objects once more, loose: still once each.
    let pack = fs::read_dir(sandbox.path("repo/.git/objects/pack"))
        .expect("packs")
        .flatten()
        .find(|entry| entry.path().extension().is_some_and(|e| e == "pack"));
    let pack = pack.expect("a pack").path();
    fs::copy(&pack, sandbox.path("copy.pack")).expect("copied");
    let status = sandbox
        .command("sh", &sandbox.path("repo"))
        .args(["-c", "mkdir ../spare && git init -q --bare ../spare/x.git && git -C ../spare/x.git unpack-objects -q < ../copy.pack && cp -rn ../spare/x.git/objects/?? .git/objects/"])
        .status();
    assert!(status.expect("sh runs").success());
    check("some both packed and loose").await;
}

#[tokio::test]
async fn long_delta_chains_by_offset_and_by_name() {
    let sandbox = Sandbox::new();
    sandbox.init("repo");
    let mut text: Vec<String> = (0..400).map(|line| format!("line {line} of a file that changes a little each time\n")).collect();
    for round in 0..60 {
        text[(round * 7) % 400] = format!("changed in round {round}\n");
        sandbox.add("repo", "file.txt", &text.concat());
    }
    for offsets in ["true", "false"] {
        sandbox.git_args(
            "repo",
            &["-c", &format!("repack.useDeltaBaseOffset={offsets}"), "repack", "-q", "-a", "-d", "-f", "--depth=50", "--window=60"],
        );
        let depths = sandbox.git("repo", "cat-file --batch-all-objects --batch-check=%(deltabase)");
        assert!(depths.lines().any(|base| !base.starts_with("000000")), "no deltas were made");
        assert_eq!(check_against_git(&sandbox, "repo").await.gaps, []);
    }
}

#[tokio::test]
async fn a_listing_goes_on_from_page_to_page() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("repo")).expect("a folder");
    sandbox.git("repo", "init -q");
    let mut script = String::new();
    for number in 0..9_000 {
        let text = format!("blob number {number}");
        script.push_str(&format!("blob\ndata {}\n{text}\n", text.len()));
    }
    fast_import(&sandbox, "repo", &script);
    for number in 0..300 {
        sandbox.write(&format!("repo/f{number}"), format!("loose {number}"));
    }
    sandbox.commit("repo", "three hundred");
    let seen = sandbox.repository("repo").await;
    assert_eq!(seen.ids(), sandbox.objects("repo").into_keys().collect());
    assert_eq!(seen.ids().len(), 9_301);
    // A cursor of a repository that has changed since is no cursor.
    let machine = sandbox.machine(&["repo"], &[MachineRead::Git]);
    let target = machine.discover().await.targets[0].clone();
    let page = machine.artifacts(&target, Some(&overdue_core::Cursor("pack 0 17 pack-of-before".into()))).await;
    assert_eq!(page.gaps[0].reason, GapReason::BrokenListing);
    assert!(page.gaps[0].open_ended && page.next.is_none());
}

pub(super) fn fast_import(sandbox: &Sandbox, folder: &str, script: &str) {
    let mut child = sandbox
        .command("git", &sandbox.path(folder))
        .args(["-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--force"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("git runs");
    child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("written");
    assert!(child.wait().expect("git ends").success());
}

#[tokio::test]
async fn where_things_stand() {
    let sandbox = Sandbox::new();
    let ids = full(&sandbox, "repo");
    for state in ["loose", "packed"] {
        let machine = sandbox.machine(&["repo"], &[MachineRead::Git]);
        let seen = see(&machine).await;
        let wanted = ["main blob", "removed blob", "doomed blob", "tagged blob", "stash blob", "loose blob", "message", "tag"];
        let (placed, gaps) = place(&machine, &seen, &wanted.map(|name| ids[name].as_str())).await;
        assert_eq!(gaps, []);
        let short = |places: &[Placement]| -> Vec<(String, String, bool)> {
            places.iter().map(|place| (place.path.clone(), place.commit.clone(), place.at_tip)).collect()
        };
        let at = |path: &str, commit: &str, tip| (path.to_owned(), commit.to_owned(), tip);
        // A file that was moved stands at two paths, the present one first.
        assert_eq!(short(&placed[0]), [at("src/moved.txt", &ids["moved"], true), at("src/main.txt", &ids["first"], false)], "{state}");
        assert_eq!(short(&placed[1]), [at("removed.txt", &ids["removed commit"], false)], "{state}");
        assert_eq!(short(&placed[2]), [at("doomed.txt", &ids["doomed commit"], false)], "{state}");
        assert_eq!(short(&placed[3]), [at("tagged.txt", &ids["tagged commit"], false)], "{state}");
        assert_eq!(short(&placed[4])[0].0, "other.txt", "{state}");
        assert_eq!(short(&placed[5]), [at("", "", false)], "{state}");
        assert_eq!(short(&placed[6]), [at("(commit message)", &ids["message"], true)], "{state}");
        assert_eq!(short(&placed[7]), [at("(tag message)", &ids["tag"], true)], "{state}");
        let place = &placed[1][0];
        assert_eq!((place.author.as_str(), place.author_address.as_str()), ("Ada Author <ada@example.com>", "ada@example.com"));
        assert!(place.committed_at.is_some_and(|at| (1_700_000_000..1_700_200_000).contains(&at.as_second())));
        assert_eq!(placed[7][0].author_address, "cy@example.com", "a tag's author is its tagger");
        sandbox.git("repo", "repack -q -a -d -k");
    }
}

#[tokio::test]
async fn the_oldest_commit_that_still_counts_brought_it() {
    let sandbox = Sandbox::new();
    sandbox.init("repo");
    sandbox.add("repo", "a.txt", "a\n");
    // Amended: the first commit with it is reached by nothing any more.
    let lost = sandbox.add("repo", "b.txt", "secret-b\n");
    sandbox.git("repo", "commit -q --amend -m amended");
    let kept = sandbox.git("repo", "rev-parse HEAD");
    assert_ne!(lost, kept);
    let blob = sandbox.git("repo", "rev-parse HEAD:b.txt");
    // Merged: each side brings its own file; the merge brings nothing.
    sandbox.git("repo", "checkout -q -b side");
    let side = sandbox.add("repo", "side.txt", "side\n");
    sandbox.git("repo", "checkout -q main");
    sandbox.add("repo", "c.txt", "c\n");
    sandbox.git("repo", "merge -q --no-ff -m merge side");
    let side_blob = sandbox.git("repo", "rev-parse HEAD:side.txt");
    let machine = sandbox.machine(&["repo"], &[MachineRead::Git]);
    let seen = see(&machine).await;
    let (placed, _) = place(&machine, &seen, &[&blob, &side_blob]).await;
    assert_eq!((placed[0][0].commit.as_str(), placed[0].len()), (kept.as_str(), 1));
    assert_eq!((placed[1][0].commit.as_str(), placed[1][0].at_tip), (side.as_str(), true));
}

#[tokio::test]
async fn clones_of_every_kind() {
    let sandbox = Sandbox::new();
    full(&sandbox, "repo");
    let origin = format!("file://{}", sandbox.path("repo").display());

    sandbox.git("", &format!("clone -q --bare {origin} bare.git"));
    let seen = check_against_git(&sandbox, "bare.git").await;
    assert_eq!((seen.gaps.len(), seen.names(TargetKind::Repository).len()), (0, 1));

    sandbox.git("", &format!("clone -q --depth 2 {origin} shallow"));
    let seen = check_against_git(&sandbox, "shallow").await;
    let gap = seen.one_gap();
    assert_eq!((gap.reason, gap.open_ended), (GapReason::Truncated, true));
    assert!(gap.detail.contains("history is cut at 1 commit") && gap.mend.contains("--unshallow"), "{gap:?}");

    sandbox.git("repo", "config uploadpack.allowFilter true");
    sandbox.git("", &format!("clone -q --no-checkout --filter=blob:none {origin} partial"));
    let seen = sandbox.repository("partial").await;
    let gap = seen.one_gap();
    assert_eq!((gap.reason, gap.open_ended), (GapReason::Truncated, true));
    assert!(gap.detail.contains("a partial clone: the server kept back at least 4 objects"), "{gap:?}");
    assert!(seen.holds("secret-in-message"));

    sandbox.git("", &format!("clone -q --no-checkout --filter=tree:0 {origin} bare-bones"));
    assert!(sandbox.repository("bare-bones").await.one_gap().detail.contains("partial clone"));

    // Everything kept back has been fetched since: nothing is missing any more.
    sandbox.git("", &format!("clone -q --filter=blob:limit=1g {origin} complete"));
    assert_eq!(check_against_git(&sandbox, "complete").await.gaps, []);

    sandbox.init("empty");
    let seen = sandbox.repository("empty").await;
    assert_eq!((seen.gaps.len(), seen.artifacts.len(), seen.targets.len()), (0, 0, 1));
    sandbox.git("", "init -q --bare empty.git");
    let seen = sandbox.repository("empty.git").await;
    assert_eq!((seen.gaps.len(), seen.artifacts.len(), seen.targets.len()), (0, 0, 1));
}

#[tokio::test]
async fn sha_256() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("repo")).expect("a folder");
    sandbox.git("repo", "init -q --object-format=sha256");
    let commit = sandbox.add("repo", "a/b.txt", "secret-in-sha256\n");
    sandbox.add("repo", "a/c.txt", "another\n");
    for state in ["loose", "packed", "packed, its configuration lost"] {
        let machine = sandbox.machine(&["repo"], &[MachineRead::Git]);
        let seen = see(&machine).await;
        assert_eq!(seen.gaps, [], "{state}");
        let blob =
            seen.bytes.iter().find(|(_, bytes)| bytes.starts_with(b"secret-in-sha256")).expect("read").0.rsplit_once('#').expect("an id").1;
        assert_eq!((blob.len(), seen.ids().len()), (64, 4), "{state}");
        let (placed, _) = place(&machine, &seen, &[blob]).await;
        assert_eq!(
            (placed[0][0].path.as_str(), placed[0][0].commit.as_str(), placed[0][0].at_tip),
            ("a/b.txt", commit.as_str(), true),
            "{state}"
        );
        if state == "packed" {
            fs::write(sandbox.path("repo/.git/config"), "[core\n").expect("written");
        } else if state == "loose" {
            sandbox.git("repo", "repack -q -a -d");
        }
    }
    let unknown = "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectformat = sha3\n";
    fs::write(sandbox.path("repo/.git/config"), unknown).expect("written");
    let seen = sandbox.repository("repo").await;
    assert_eq!(seen.one_gap().reason, GapReason::Unsupported);
}

#[tokio::test]
async fn worktrees_and_submodules_are_found_once() {
    let sandbox = Sandbox::new();
    full(&sandbox, "all/repo");
    sandbox.git("all/repo", "worktree add -q ../tree-one -b one");
    sandbox.add("all/tree-one", "one.txt", "secret-in-worktree\n");
    sandbox.git("all/repo", "worktree add -q --detach ../../outside");
    sandbox.init("library");
    sandbox.add("library", "lib.txt", "secret-in-library\n");
    sandbox.git("all/repo", &format!("submodule --quiet add {} lib", sandbox.path("library").display()));
    sandbox.commit("all/repo", "a submodule");
    std::os::unix::fs::symlink(sandbox.path("all/repo"), sandbox.path("all/link")).expect("a link");

    let seen = sandbox.repository("all").await;
    let expected = [sandbox.path("all/repo"), sandbox.path("all/repo/lib")];
    assert_eq!(seen.names(TargetKind::Repository), expected.iter().map(|path| path.to_str().expect("text")).collect::<Vec<_>>());
    assert_eq!(seen.gaps, []);
    assert!(seen.holds("secret-in-worktree") && seen.holds("secret-in-library"));
    let mut both = sandbox.objects("all/repo");
    both.extend(sandbox.objects("all/repo/lib"));
    assert_eq!(seen.ids(), both.into_keys().collect());

    // What only a worktree has checked out counts as held by a branch, also a detached one.
    let machine = sandbox.machine(&["all/repo"], &[MachineRead::Git]);
    let seen = see(&machine).await;
    let blob = sandbox.git("all/tree-one", "rev-parse HEAD:one.txt");
    let (placed, _) = place(&machine, &seen, &[&blob]).await;
    assert!(placed[0][0].at_tip);

    // A worktree alone leads to its repository, which bears the main work tree's name.
    let seen = sandbox.repository("outside").await;
    assert_eq!(seen.names(TargetKind::Repository), [sandbox.path("all/repo").to_str().expect("text")]);
    assert!(seen.holds("secret-in-main"));

    // A folder within a repository: its history was not asked for, and that is said.
    let seen = sandbox.repository("all/repo/src").await;
    assert!(seen.targets.is_empty());
    assert!(seen.remarks[0].contains("whose history was not read"), "{:?}", seen.remarks);

    // A worktree whose repository is gone, and a folder that only looks like a repository.
    fs::rename(sandbox.path("all/repo"), sandbox.path("gone")).expect("moved");
    let seen = sandbox.repository("outside").await;
    let gap = seen.one_gap();
    assert_eq!((gap.reason, gap.open_ended), (GapReason::Corrupt, true));
    assert!(gap.detail.contains("which is not there"), "{gap:?}");
    fs::create_dir_all(sandbox.path("fake/.git")).expect("a folder");
    assert!(sandbox.repository("fake").await.one_gap().detail.contains("it has no `objects` folder"));
}

#[tokio::test]
async fn alternates() {
    let sandbox = Sandbox::new();
    let ids = full(&sandbox, "lender");
    sandbox.git("", "clone -q --shared lender borrower");
    sandbox.add("borrower", "own.txt", "secret-of-borrower\n");

    // Alone, the borrower shows what it borrows, and says whose it is.
    let machine = sandbox.machine(&["borrower"], &[MachineRead::Git]);
    let seen = see(&machine).await;
    assert_eq!(seen.gaps, []);
    assert_eq!(seen.ids(), sandbox.objects("borrower").into_keys().collect());
    let borrowed = seen.artifacts.iter().find(|(_, artifact)| artifact.id.name.ends_with(&ids["main blob"])).expect("listed");
    assert!(borrowed.1.notes.iter().any(|note| note.starts_with("borrowed from")), "{:?}", borrowed.1.notes);
    let (placed, _) = place(&machine, &seen, &[&ids["main blob"]]).await;
    assert!(placed[0][0].at_tip);

    // Together, each object is counted once.
    let machine = sandbox.machine(&["borrower", "lender"], &[MachineRead::Git]);
    let seen = see(&machine).await;
    assert_eq!(seen.gaps, []);
    assert_eq!(seen.artifacts.len(), sandbox.objects("borrower").len());
    let of_borrower = seen.artifacts.iter().filter(|(target, _)| target.name.ends_with("borrower")).count();
    assert_eq!(of_borrower, 2, "a blob and a commit");

    fs::rename(sandbox.path("lender"), sandbox.path("gone")).expect("moved");
    let seen = sandbox.repository("borrower").await;
    assert_eq!(seen.gaps.iter().filter(|gap| gap.open_ended).count(), seen.gaps.len());
    assert!(seen.gaps[0].subject.contains("objects borrowed from") && seen.holds("secret-of-borrower"), "{:#?}", seen.gaps);
    assert_eq!(seen.gaps.len(), 1, "{:#?}", seen.gaps);
}

/// The only pack of a repository.
fn pack_of(sandbox: &Sandbox, folder: &str) -> PathBuf {
    let packs = fs::read_dir(sandbox.path(&format!("{folder}/.git/objects/pack"))).expect("packs").flatten().map(|entry| entry.path());
    let mut packs = packs.filter(|path| path.extension().is_some_and(|extension| extension == "pack"));
    packs.next().expect("a pack")
}

/// Makes a file of git's writable and changes it.
fn change(path: &Path, by: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("readable");
    by(&mut bytes);
    fs::remove_file(path).expect("removed");
    fs::write(path, bytes).expect("written");
}

#[tokio::test]
async fn damage_costs_only_what_it_hits() {
    let sandbox = Sandbox::new();
    full(&sandbox, "repo");
    sandbox.git("repo", "repack -q -a -d -k -F");
    sandbox.add("repo", "after.txt", &format!("secret-after\n{}", "more than fits beside the header\n".repeat(9)));
    let copy = |name: &str| {
        let status = sandbox.command("cp", &sandbox.path("")).args(["-r", "repo", name]).status();
        assert!(status.expect("cp runs").success());
    };

    copy("cut");
    change(&pack_of(&sandbox, "cut"), |bytes| bytes.truncate(bytes.len() * 2 / 3));
    let seen = sandbox.repository("cut").await;
    let gap = seen.one_gap();
    assert_eq!(gap.reason, GapReason::Corrupt);
    assert!(
        gap.subject.contains("pack-") && gap.detail.contains("objects cannot be read: it is not the pack its index was made for"),
        "{gap:?}"
    );
    assert!(seen.holds("secret-after"), "loose objects are still read");
    assert!(seen.ids().len() > 8, "so is the rest of the pack: {}", seen.ids().len());

    copy("flipped");
    change(&pack_of(&sandbox, "flipped"), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
    });
    let seen = sandbox.repository("flipped").await;
    assert!(!seen.gaps.is_empty() && seen.gaps.iter().all(|gap| gap.reason == GapReason::Corrupt), "{:#?}", seen.gaps);
    assert!(seen.holds("secret-after"));
    assert!(seen.bytes.len() + seen.gaps.len() >= sandbox.objects("repo").len(), "each object is read or a gap");

    copy("no-index");
    fs::remove_file(pack_of(&sandbox, "no-index").with_extension("idx")).expect("removed");
    let seen = sandbox.repository("no-index").await;
    assert!(seen.gaps[0].detail.contains("no index") && seen.gaps[0].mend.contains("git index-pack"), "{:#?}", seen.gaps);
    assert!(seen.holds("secret-after"));

    copy("no-pack");
    fs::remove_file(pack_of(&sandbox, "no-pack")).expect("removed");
    let seen = sandbox.repository("no-pack").await;
    assert!(seen.one_gap().detail.contains("the pack itself is not, 2"), "{:#?}", seen.gaps);

    copy("no-trailer");
    change(&pack_of(&sandbox, "no-trailer"), |bytes| bytes.truncate(20));
    let seen = sandbox.repository("no-trailer").await;
    assert_eq!(seen.gaps[0].reason, GapReason::Corrupt);
    assert!(seen.holds("secret-after"));

    copy("loose");
    let hex = sandbox.git("loose", "rev-parse HEAD:after.txt");
    change(&sandbox.path(&format!("loose/.git/objects/{}/{}", &hex[..2], &hex[2..])), Vec::clear);
    let seen = sandbox.repository("loose").await;
    assert!(seen.one_gap().subject.contains(&hex[2..]) && seen.gaps[0].reason == GapReason::Corrupt);

    // An object whose header can be read and whose bytes cannot.
    copy("loose-body");
    change(&sandbox.path(&format!("loose-body/.git/objects/{}/{}", &hex[..2], &hex[2..])), |bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
    let seen = sandbox.repository("loose-body").await;
    let gap = seen.one_gap();
    assert!(gap.subject.contains(&hex) && gap.subject.contains("loose-body") && gap.reason == GapReason::Corrupt, "{gap:?}");

    // Left over from a clone that was killed.
    copy("half");
    fs::copy(pack_of(&sandbox, "half"), sandbox.path("half/.git/objects/pack/tmp_pack_Xy12Ab")).expect("copied");
    let seen = sandbox.repository("half").await;
    assert!(seen.one_gap().detail.contains("broken off"), "{:?}", seen.gaps);

    // Part of history is gone, though every branch is there.
    sandbox.init("torn");
    let old = sandbox.add("torn", "a.txt", "a\n");
    sandbox.add("torn", "b.txt", "b\n");
    fs::remove_file(sandbox.path(&format!("torn/.git/objects/{}/{}", &old[..2], &old[2..]))).expect("removed");
    let seen = sandbox.repository("torn").await;
    assert_eq!(seen.one_gap().detail, "a commit names a parent or a folder that is not there");

    // A branch whose commit was never fetched.
    copy("lost");
    fs::write(sandbox.path("lost/.git/refs/heads/lost"), format!("{}\n", "ab".repeat(20))).expect("written");
    let seen = sandbox.repository("lost").await;
    assert_eq!(seen.one_gap().detail, "refs/heads/lost names an object that is not there");
}

#[tokio::test]
async fn large_objects_are_streamed() {
    let sandbox = Sandbox::new();
    sandbox.init("repo");
    let mut large = Vec::with_capacity(9 << 20);
    let mut state = 1_u64;
    while large.len() < 9 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        large.extend_from_slice(&state.to_le_bytes());
    }
    large.extend_from_slice(b"secret-at-the-end");
    sandbox.write("repo/large.bin", &large);
    sandbox.commit("repo", "large");
    let blob = sandbox.git("repo", "rev-parse HEAD:large.bin");
    for state in ["loose", "packed"] {
        let seen = sandbox.repository("repo").await;
        assert_eq!(seen.gaps, [], "{state}");
        assert_eq!(seen.object(&blob).map(<[u8]>::len), Some(large.len()), "{state}");
        assert!(seen.object(&blob).is_some_and(|bytes| bytes == large), "{state}");
        if state == "loose" {
            sandbox.git("repo", "repack -q -a -d");
            assert!(!sandbox.path(&format!("repo/.git/objects/{}/{}", &blob[..2], &blob[2..])).exists());
        }
    }
    // Cut within the large object: the stream breaks off and says so.
    change(&pack_of(&sandbox, "repo"), |bytes| bytes.truncate(1 << 20));
    let seen = sandbox.repository("repo").await;
    assert!(seen.gaps.iter().all(|gap| gap.reason == GapReason::Corrupt) && !seen.gaps.is_empty(), "{:#?}", seen.gaps);
}

#[tokio::test]
async fn a_reftable_hides_branches_not_objects() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("repo")).expect("a folder");
    sandbox.git("repo", "init -q --ref-format=reftable");
    sandbox.add("repo", "a.txt", "secret-in-reftable\n");
    let seen = sandbox.repository("repo").await;
    assert!(seen.holds("secret-in-reftable"));
    let gap = seen.one_gap();
    assert!(!gap.open_ended && gap.detail.contains("reftable"), "{gap:?}");
}
