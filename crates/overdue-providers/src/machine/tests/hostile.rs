//! Repositories and folders made to run something, to write something, to hang, or to use everything up.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::time::Duration;

use super::*;

/// All files under a folder: path, mode, modification time and content.
fn picture(folder: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut picture = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let facts = path.symlink_metadata().expect("there");
        let content = if facts.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        if facts.is_dir() {
            open.extend(fs::read_dir(&path).expect("readable").flatten().map(|entry| entry.path()));
        }
        picture.insert(path, (facts.mode(), facts.mtime(), facts.mtime_nsec(), content));
    }
    picture
}

#[tokio::test]
async fn nothing_runs_and_nothing_changes() {
    let sandbox = Sandbox::new();
    sandbox.init("repo");
    sandbox.add("repo", "a.txt", "secret-in-a\n");
    let sentinel = sandbox.path("sentinel");
    let run = format!("touch {}", sentinel.display());
    let script = format!("#!/bin/sh\n{run}\n");
    sandbox.write("evil.sh", &script);
    let evil = sandbox.path("evil.sh");
    let status = sandbox.command("chmod", &sandbox.path("")).args(["755", "evil.sh"]).status();
    assert!(status.expect("chmod runs").success());
    for hook in ["post-checkout", "pre-commit", "post-index-change", "fsmonitor-watchman", "reference-transaction", "pre-auto-gc"] {
        fs::copy(&evil, sandbox.path(&format!("repo/.git/hooks/{hook}"))).expect("a hook");
    }
    sandbox.write("included", format!("[core]\n\tfsmonitor = {run}\n"));
    let evil = evil.display();
    let config = format!(
        "[core]\n\trepositoryformatversion = 1\n\tfsmonitor = {run}\n\tsshCommand = {run}\n\thooksPath = {}\n\tgitProxy = {evil}\n\teditor = {run}\n\tpager = {run}\n\
         \talternateRefsCommand = {evil}\n\taskPass = {evil}\n\
         [include]\n\tpath = {}\n[includeIf \"gitdir:/\"]\n\tpath = {}\n\
         [filter \"x\"]\n\tclean = {run}\n\tsmudge = {run}\n\tprocess = {run}\n\trequired = true\n\
         [diff \"x\"]\n\ttextconv = {run}\n\tcommand = {evil}\n[credential]\n\thelper = !{run}\n[gpg]\n\tprogram = {evil}\n\
         [remote \"origin\"]\n\turl = ext::sh -c {evil}\n\tpromisor = true\n\tpartialclonefilter = blob:none\n\tuploadpack = {evil}\n\
         [extensions]\n\tpartialclone = origin\n[submodule \"s\"]\n\turl = ext::sh -c {evil}\n\tupdate = !{run}\n[safe]\n\tdirectory = *\n",
        sandbox.path("").display(),
        sandbox.path("included").display(),
        sandbox.path("included").display(),
    );
    fs::write(sandbox.path("repo/.git/config"), config).expect("written");
    sandbox.write("repo/.gitattributes", "* filter=x diff=x\n");
    sandbox.write("repo/.gitmodules", format!("[submodule \"s\"]\n\tpath = s\n\turl = ext::sh -c {evil}\n\tupdate = !{run}\n"));
    // An object that is not here: a client would ask the promisor remote for it.
    fs::write(sandbox.path("repo/.git/refs/heads/elsewhere"), format!("{}\n", "cd".repeat(20))).expect("written");
    fs::write(sandbox.path("repo/.git/objects/info/alternates"), format!("/nowhere\n{}\n", sandbox.path("").display())).expect("written");

    let before = picture(&sandbox.path("repo"));
    let all = [MachineRead::Git, MachineRead::Files, MachineRead::CredentialFiles, MachineRead::Environment];
    let machine = sandbox.machine(&["repo"], &all);
    let seen = see(&machine).await;
    let blob = seen.bytes.iter().find(|(name, bytes)| name.starts_with("git:") && bytes.as_slice() == b"secret-in-a\n").expect("read");
    let blob = blob.0.rsplit_once('#').expect("an id").1.to_owned();
    let (placed, _) = place(&machine, &seen, &[&blob]).await;
    assert_eq!(placed[0][0].path, "a.txt");
    assert!(seen.bytes.keys().any(|name| name.ends_with("repo/.git/config")), "a configuration is a file to scan");
    assert!(!sentinel.exists(), "something ran");
    assert!(picture(&sandbox.path("repo")) == before, "something was written");
}

#[tokio::test]
async fn links_pipes_and_loops_in_place_of_gits_own_files() {
    let sandbox = Sandbox::new();
    sandbox.init("real");
    sandbox.add("real", "a.txt", "secret-in-a\n");
    // Objects by link are objects.
    fs::create_dir_all(sandbox.path("linked/.git/refs")).expect("folders");
    symlink(sandbox.path("real/.git/objects"), sandbox.path("linked/.git/objects")).expect("a link");
    fs::write(sandbox.path("linked/.git/HEAD"), "ref: refs/heads/main\n").expect("written");
    assert!(sandbox.repository("linked").await.holds("secret-in-a"));

    // Pipes would hang whoever opens them.
    sandbox.init("pipes");
    sandbox.add("pipes", "a.txt", "secret-in-a\n");
    sandbox.git("pipes", "repack -q -a -d");
    let pipes = [
        "pipes/.git/objects/ab/cdefabcdefabcdefabcdefabcdefabcdefabcd",
        "pipes/.git/objects/pack/pack-0123456789012345678901234567890123456789.pack",
        "pipes/.git/objects/pack/pack-0123456789012345678901234567890123456789.idx",
        "pipes/.git/refs/heads/pipe",
        "pipes/.git/shallow",
        "pipes/.git/objects/info/alternates",
        "pipes/pipe",
        "pipes/sub/.git",
    ];
    for pipe in pipes {
        let path = sandbox.path(pipe);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        assert!(sandbox.command("mkfifo", &sandbox.path("")).arg(&path).status().expect("mkfifo runs").success());
    }
    symlink("loop-b", sandbox.path("pipes/loop-a")).expect("a link");
    symlink("loop-a", sandbox.path("pipes/loop-b")).expect("a link");
    symlink("..", sandbox.path("pipes/up")).expect("a link");
    symlink("/etc/passwd", sandbox.path("pipes/out")).expect("a link");
    std::os::unix::net::UnixListener::bind(sandbox.path("pipes/socket")).expect("a socket");
    let machine = sandbox.machine(&["pipes"], &[MachineRead::Git, MachineRead::Files]);
    let seen = tokio::time::timeout(Duration::from_secs(60), see(&machine)).await.expect("it does not hang");
    assert!(seen.holds("secret-in-a"));
    assert!(seen.gaps.iter().all(|gap| gap.detail.contains("not a regular file")), "{:#?}", seen.gaps);
    assert_eq!(seen.gaps.len(), 4, "a loose object, a pack, alternates and shallow: {:#?}", seen.gaps);
    let files: Vec<&String> = seen.bytes.keys().filter(|name| name.starts_with("file:")).collect();
    let strangers = ["pipe", "loop", "/up", "/out", "socket"];
    assert!(!files.iter().any(|name| strangers.iter().any(|stranger| name.ends_with(stranger))), "{files:#?}");

    // `.git` files and common folders that lead in circles.
    fs::create_dir_all(sandbox.path("circle/a")).expect("folders");
    fs::write(sandbox.path("circle/.git"), "gitdir: .git\n").expect("written");
    fs::write(sandbox.path("circle/a/.git"), "gitdir: ../a\n").expect("written");
    symlink(".git", sandbox.path("circle/a/HEAD")).expect("a link");
    let seen = sandbox.repository("circle").await;
    assert_eq!((seen.targets.len(), seen.gaps.len()), (0, 2), "{:#?}", seen.gaps);

    // Alternates in a circle are each followed once.
    sandbox.init("one");
    sandbox.add("one", "a.txt", "one\n");
    sandbox.init("two");
    sandbox.add("two", "a.txt", "two\n");
    for (from, to) in [("one", "two"), ("two", "one")] {
        fs::write(sandbox.path(&format!("{from}/.git/objects/info/alternates")), format!("../../../{to}/.git/objects\n")).expect("written");
    }
    let seen = sandbox.repository("one").await;
    assert_eq!((seen.gaps.len(), seen.artifacts.len()), (0, 4));
}

/// A pack by hand: an entry each, and an index that git makes or, where git refuses, none.
fn pack(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"PACK\0\0\0\x02".to_vec();
    bytes.extend_from_slice(&(entries.len() as u32).to_be_bytes());
    bytes.extend(entries.concat());
    bytes
}

/// An index of version 2 for objects at offsets; its checksums are whatever is given.
fn index(mut objects: Vec<([u8; 20], u32)>, trailer: [u8; 20]) -> Vec<u8> {
    objects.sort_unstable();
    let mut bytes = b"\xfftOc\0\0\0\x02".to_vec();
    for first in 0..=255_u8 {
        bytes.extend_from_slice(&(objects.iter().filter(|(id, _)| id[0] <= first).count() as u32).to_be_bytes());
    }
    objects.iter().for_each(|(id, _)| bytes.extend_from_slice(id));
    objects.iter().for_each(|_| bytes.extend_from_slice(&[0; 4]));
    objects.iter().for_each(|(_, offset)| bytes.extend_from_slice(&offset.to_be_bytes()));
    bytes.extend_from_slice(&trailer);
    bytes.extend_from_slice(&[0; 20]);
    bytes
}

/// A stored (not compressed) zlib stream.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x78, 0x01, 0x01];
    bytes.extend_from_slice(&(data.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&(!(data.len() as u16)).to_le_bytes());
    bytes.extend_from_slice(data);
    let (mut a, mut b) = (1_u32, 0_u32);
    for &byte in data {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    bytes.extend_from_slice(&((b << 16) | a).to_be_bytes());
    bytes
}

/// An entry's header: kind and declared size.
fn header(kind: u8, mut size: u64) -> Vec<u8> {
    let mut bytes = vec![(kind << 4) | (size & 0x0f) as u8];
    size >>= 4;
    while size > 0 {
        if let Some(last) = bytes.last_mut() {
            *last |= 0x80;
        }
        bytes.push((size & 0x7f) as u8);
        size >>= 7;
    }
    bytes
}

#[tokio::test]
async fn sizes_that_lie_and_deltas_in_circles() {
    let sandbox = Sandbox::new();
    sandbox.init("repo");
    sandbox.add("repo", "a.txt", "secret-in-a\n");
    let id = |first: u8| [first; 20];
    let good = [header(3, 5), stored(b"hello")].concat();
    // Claims 4 GiB, 16 EiB; two deltas upon each other by name; one upon itself; a bomb of a delta.
    let giant = [header(3, 4 << 30), stored(b"x")].concat();
    let absurd = [header(3, u64::MAX >> 1), stored(b"x")].concat();
    let delta = stored(&[5, 5, 0x90, 5]);
    let circle_a = [header(7, 4), id(0xb1).to_vec(), delta.clone()].concat();
    let circle_b = [header(7, 4), id(0xa1).to_vec(), delta.clone()].concat();
    let itself = [header(7, 4), id(0xc1).to_vec(), delta].concat();
    let result_lie = [header(7, 9), id(0x01).to_vec(), stored(&[5, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x90, 5])].concat();
    let zero_distance = [header(6, 4), vec![0], stored(&[5, 5, 0x90, 5])].concat();
    let entries = [good, giant, absurd, circle_a, circle_b, itself, result_lie, zero_distance];
    let ids = [0x01, 0x02, 0x03, 0xa1, 0xb1, 0xc1, 0xd1, 0xe1];
    let mut offset = 12;
    let objects = entries.iter().zip(ids).map(|(entry, first)| {
        let at = offset;
        offset += entry.len() as u32;
        (id(first), at)
    });
    let objects: Vec<_> = objects.collect();
    let mut bytes = pack(&entries);
    bytes.extend_from_slice(&[7; 20]);
    let stem = sandbox.path("repo/.git/objects/pack/pack-00000000000000000000000000000000000000ff");
    fs::create_dir_all(stem.parent().expect("a folder")).expect("folders");
    fs::write(stem.with_extension("pack"), &bytes).expect("written");
    fs::write(stem.with_extension("idx"), index(objects.clone(), [7; 20])).expect("written");
    let seen = sandbox.repository("repo").await;
    assert!(seen.holds("secret-in-a"));
    assert_eq!(seen.object(&"01".repeat(20)), Some(b"hello".as_slice()));
    let lines: Vec<String> = seen.gaps.iter().map(|gap| format!("{} {}", gap.reason, gap.detail)).collect();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines[0].contains("4 of its 8 objects cannot be read"), "{lines:#?}");
    assert!(
        lines[1..].iter().all(|line| line.starts_with("corrupt it claims") || line.starts_with("corrupt its delta promises")),
        "{lines:#?}"
    );

    // Offsets that point anywhere, and an index that is out of order.
    let wild: Vec<_> =
        (0..8_u8).map(|number| (id(number), [0, 1, 11, 12, 13, 0x7fff_ffff, 100, u32::from(u16::MAX)][usize::from(number)])).collect();
    fs::write(stem.with_extension("idx"), index(wild, [7; 20])).expect("written");
    assert!(sandbox.repository("repo").await.holds("secret-in-a"));
    let mut unsorted = index(objects, [7; 20]);
    unsorted[8 + 1024..8 + 1024 + 160].reverse();
    fs::write(stem.with_extension("idx"), unsorted).expect("written");
    assert!(sandbox.repository("repo").await.holds("secret-in-a"));
}

/// Changes bytes here and there: nothing panics, nothing hangs, and what is not hit is read.
#[tokio::test]
async fn mutated_packs() {
    let sandbox = Sandbox::new();
    sandbox.init("repo");
    let mut text: Vec<String> = (0..100).map(|line| format!("line {line} of a file\n")).collect();
    for round in 0..20 {
        text[round * 5] = format!("changed in round {round}\n");
        sandbox.add("repo", "folder/file.txt", &text.concat());
    }
    sandbox.git("repo", "repack -q -a -d -f --depth=20");
    sandbox.add("repo", "late.txt", "secret-in-late\n");
    let late = sandbox.git("repo", "rev-parse HEAD:late.txt");
    let pack = fs::read_dir(sandbox.path("repo/.git/objects/pack")).expect("packs").flatten().map(|entry| entry.path());
    let pack = pack.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "pack")).expect("a pack");
    let mut state = 42_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let rounds: usize = std::env::var("OVERDUE_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(60);
    for round in 0..rounds {
        let file = if round % 3 == 2 { pack.with_extension("idx") } else { pack.clone() };
        let original = fs::read(&file).expect("readable");
        let mut bytes = original.clone();
        for _ in 0..=random(8) {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        if round % 10 == 9 {
            bytes.truncate(random(bytes.len()));
        }
        fs::remove_file(&file).expect("removed");
        fs::write(&file, &bytes).expect("written");
        let machine = sandbox.machine(&["repo"], &[MachineRead::Git]);
        let seen = tokio::time::timeout(Duration::from_secs(120), see(&machine)).await.expect("it does not hang");
        assert!(seen.holds("secret-in-late"), "round {round}");
        assert!(!seen.gaps.iter().any(|gap| gap.reason == GapReason::Internal), "round {round}: {:#?}", seen.gaps);
        let (placed, gaps) =
            tokio::time::timeout(Duration::from_secs(120), place(&machine, &seen, &[&late])).await.expect("it does not hang");
        assert_eq!(placed.len(), 1);
        assert!(!gaps.iter().any(|gap| gap.reason == GapReason::Internal), "round {round}: {gaps:#?}");
        fs::write(&file, &original).expect("written");
    }
}

/// Commits, trees and tags that are none.
#[tokio::test]
async fn objects_that_make_no_sense() {
    let sandbox = Sandbox::new();
    sandbox.init("repo");
    let commit = sandbox.add("repo", "a.txt", "secret-in-a\n");
    let blob = sandbox.git("repo", "rev-parse HEAD:a.txt");
    let tree = sandbox.git("repo", "rev-parse HEAD^{tree}");
    let commits = [
        String::new(),
        "tree\n".to_owned(),
        format!("tree {blob}\nauthor x\ncommitter y\n\na blob for a tree"),
        format!(
            "tree {tree}\nparent {tree}\nauthor A <a> 99999999999999999999 +9999\ncommitter A <a> -99999999999999999999 -9999\n\ndates"
        ),
        format!("tree {tree}\nparent {commit}\nauthor <<<>>>\u{1b}[31m <a@b\u{202e}> 1700000000 +0000\ncommitter \n\nnames"),
        format!("tree {tree}\nauthor {} <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\nlong", "x".repeat(1 << 20)),
        format!("tree {}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nno tree", "12".repeat(20)),
        "tree \u{0}\u{0}\u{0}".to_owned(),
    ];
    let mut ids: Vec<String> = commits.iter().map(|text| sandbox.hash_object("repo", "commit", text.as_bytes())).collect();
    let raw = |hex: &str| -> Vec<u8> { (0..20).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex")).collect() };
    let trees: [Vec<u8>; 5] = [
        b"100644 a.txt\0short".to_vec(),
        b"garbage".to_vec(),
        [b"100644 ../../../etc/passwd\0".to_vec(), raw(&blob), b"40000 .git\0".to_vec(), raw(&tree)].concat(),
        [b"100644 \0".to_vec(), raw(&blob), b"100644 a\nb\0".to_vec(), raw(&blob)].concat(),
        [b"160000 sub\0".to_vec(), raw(&commit), b"120000 link\0".to_vec(), raw(&blob)].concat(),
    ];
    for bytes in &trees {
        let tree = sandbox.hash_object("repo", "tree", bytes);
        let text = format!("tree {tree}\nparent {commit}\nauthor A <a@b> 1800000000 +0000\ncommitter A <a@b> 1800000000 +0000\n\nodd tree");
        ids.push(sandbox.hash_object("repo", "commit", text.as_bytes()));
    }
    let tag = sandbox.hash_object("repo", "tag", b"object garbage\ntype commit");
    let itself = sandbox.hash_object("repo", "tag", format!("object {tag}\ntype tag\ntag t\ntagger\n\nm").as_bytes());
    for (number, id) in ids.iter().chain([&tag, &itself, &blob, &tree]).enumerate() {
        fs::write(sandbox.path(&format!("repo/.git/refs/heads/odd{number}")), format!("{id}\n")).expect("written");
    }
    let machine = sandbox.machine(&["repo"], &[MachineRead::Git]);
    let seen = see(&machine).await;
    assert_eq!(seen.ids().len(), 2 + ids.len() + 2);
    assert!(seen.gaps.iter().all(|gap| gap.reason == GapReason::Corrupt && gap.detail.contains("that is not there")), "{:#?}", seen.gaps);
    let wanted: Vec<&str> = ids.iter().chain([&tag, &itself, &blob]).map(String::as_str).collect();
    let (placed, gaps) = place(&machine, &seen, &wanted).await;
    assert!(gaps.iter().all(|gap| gap.reason == GapReason::Corrupt), "{gaps:#?}");
    let blob_places = placed.last().expect("the blob's");
    assert!(blob_places.iter().any(|place| place.path == "a.txt" && !place.commit.is_empty() && place.at_tip), "{blob_places:#?}");
    assert!(placed.iter().flatten().all(|place| place.author.chars().count() < 600));
}

/// Trees of trees of trees, each ten times the next: ten to the twelfth folders in a few kB.
#[tokio::test]
async fn a_bomb_of_trees() {
    let sandbox = Sandbox::new();
    sandbox.init("repo");
    let early = sandbox.add("repo", "a.txt", "secret-in-a\n");
    let blob = sandbox.git("repo", "rev-parse HEAD:a.txt");
    let mut below = format!("100644 blob {blob}\tf");
    for _ in 0..12 {
        let mut child = sandbox
            .command("git", &sandbox.path("repo"))
            .arg("mktree")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("git runs");
        child.stdin.take().expect("a pipe").write_all(below.as_bytes()).expect("written");
        let tree = String::from_utf8(child.wait_with_output().expect("git ends").stdout).expect("hex");
        below = (0..10).map(|name| format!("040000 tree {}\td{name}\n", tree.trim())).collect();
    }
    let tree = below.split_whitespace().nth(2).expect("a tree").to_owned();
    let commit = sandbox.git("repo", &format!("commit-tree -m bomb -p HEAD {tree}"));
    sandbox.git("repo", &format!("update-ref refs/heads/bomb {commit}"));
    sandbox.git("repo", "repack -q -a -d");
    let machine = sandbox.machine(&["repo"], &[MachineRead::Git]);
    let seen = see(&machine).await;
    let (placed, gaps) = tokio::time::timeout(Duration::from_secs(120), place(&machine, &seen, &[&blob])).await.expect("it does not hang");
    assert!(placed[0].iter().any(|place| place.path == "a.txt" && place.commit == early && place.at_tip), "{:#?}", placed[0]);
    assert!(placed[0].len() <= 32);
    assert_eq!(gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(), [GapReason::TooMany]);
}

#[tokio::test]
async fn names_of_any_bytes() {
    let sandbox = Sandbox::new();
    sandbox.init("repo");
    let names: [&[u8]; 5] = [b"bad\xff", b"bad\xfe", "bad\u{FFFD}FF".as_bytes(), b"new\nline", b"\x1b[31mred"];
    for (number, name) in names.iter().enumerate() {
        let path = sandbox.path("repo").join(std::ffi::OsStr::from_bytes(name));
        fs::write(path, format!("secret-{number}\n")).expect("written");
    }
    sandbox.commit("repo", "odd names");
    let machine = sandbox.machine(&["repo"], &[MachineRead::Git, MachineRead::Files]);
    let seen = see(&machine).await;
    assert_eq!(seen.gaps, []);
    for number in 0..names.len() {
        let holders = seen
            .bytes
            .iter()
            .filter(|(name, bytes)| name.starts_with("file:") && bytes.as_slice() == format!("secret-{number}\n").as_bytes());
        assert_eq!(holders.count(), 1, "secret-{number}");
    }
    // A repository whose own path has such a byte.
    let odd = sandbox.path("").join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    fs::rename(sandbox.path("repo"), odd).expect("moved");
    let seen = see(&sandbox.machine(&[""], &[MachineRead::Git])).await;
    assert_eq!((seen.gaps.len(), seen.names(TargetKind::Repository).len()), (0, 1));
    assert!(seen.holds("secret-4"));
}
