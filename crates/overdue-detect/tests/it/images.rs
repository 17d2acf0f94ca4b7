//! Container images as files: every layer counts, whatever a later one hides.

use crate::kit::{env, gaps, gzip, scan, seen, tar, token, zstd};

const PAT: &str = "github.pat";

#[test]
fn a_secret_that_a_later_layer_deletes_is_still_in_the_image() {
    let first = tar(&[("app/.env", &env(&token(1))), ("app/keep.env", &env(&token(2)))]);
    let second = tar(&[("app/.wh..env", b""), ("app/old/.wh..wh..opq", b""), ("app/main.py", b"print()\n")]);
    let saved = tar(&[
        ("manifest.json", br#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":["1/layer.tar","2/layer.tar"]}]"#),
        ("1/layer.tar", &first),
        ("2/layer.tar", &second),
        ("c.json", b"{}"),
    ]);
    let expected = [(PAT, "1/layer.tar!/app/.env", Some(2)), (PAT, "1/layer.tar!/app/keep.env", Some(2))];
    assert_eq!(seen(&scan("image.tar", &saved)), expected);
    assert_eq!(gaps(&scan("image.tar", &saved)), []);

    // An OCI layout: layers are blobs by their digest, compressed in either way.
    for layer in [gzip(&first), zstd(&first)] {
        let layout = tar(&[
            ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
            ("blobs/sha256/aa11", &layer),
            ("blobs/sha256/bb22", &gzip(&second)),
            ("index.json", br#"{"schemaVersion":2,"manifests":[]}"#),
        ]);
        let expected = [(PAT, "blobs/sha256/aa11!/app/.env", Some(2)), (PAT, "blobs/sha256/aa11!/app/keep.env", Some(2))];
        assert_eq!(seen(&scan("image.tar.gz", &gzip(&layout))), expected);
        assert_eq!(gaps(&scan("image.tar.gz", &gzip(&layout))), []);
    }
}

#[test]
fn what_a_build_was_given_stands_in_the_config() {
    let config = format!(
        r#"{{"architecture":"amd64","config":{{"Env":["PATH=/usr/bin","GITHUB={}"],"Cmd":["sh"]}},"history":[{{"created_by":"RUN |1 NPM={} /bin/sh -c npm ci # buildkit"}}],"rootfs":{{"type":"layers","diff_ids":[]}}}}"#,
        token(1),
        token(2)
    );
    let scanned = scan("image.tar", &tar(&[("blobs/sha256/cc33", config.as_bytes()), ("c.json", config.as_bytes())]));
    let expected = ["blobs/sha256/cc33", "c.json"].into_iter().flat_map(|path| [(PAT, path, Some(1)); 2]).collect::<Vec<_>>();
    assert_eq!(seen(&scanned), expected);
}
