//! `.gitleaksignore` over what a scan finds.

use overdue_detect::Ignores;

use crate::kit::{deflated, scan, token};

#[test]
fn what_was_set_aside_is_covered_and_the_rest_is_unused() {
    let text = format!("# settings\nGITHUB={}\nOTHER={}\n", token(1), token(2));
    let (ignores, warnings) = Ignores::read(
        ".gitleaksignore",
        "# reviewed\nconf/app.env:github-pat:2\nconf/app.env:github-pat:9\npack.zip!conf/app.env:github.pat:3\nnonsense\n",
    );
    assert_eq!(warnings.len(), 1);
    let mut covered = Vec::new();
    for detection in scan("conf/app.env", text.as_bytes()).detections {
        covered.push((detection.line, ignores.covering("conf/app.env", None, &detection).map(|entry| entry.line)));
    }
    assert_eq!(covered, [(Some(2), Some(2)), (Some(3), None)]);
    assert_eq!(ignores.unused(true).map(|entry| entry.line).collect::<Vec<_>>(), [3, 4]);
    for detection in scan("pack.zip", &deflated(&[("conf/app.env", text.as_bytes())])).detections {
        ignores.covering("pack.zip", None, &detection);
    }
    assert_eq!(ignores.unused(true).map(ToString::to_string).collect::<Vec<_>>(), ["conf/app.env:github-pat:9"]);
}
