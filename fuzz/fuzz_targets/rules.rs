//! Any text as a file of rules: an error with a line, or rules that scan.
#![no_main]

use libfuzzer_sys::fuzz_target;
use overdue_detect::RuleSet;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match RuleSet::parse(&[("fuzz.toml", text)]) {
        Ok(rules) => {
            let _ = rules.facts();
        }
        Err(error) => assert!(error.to_string().contains("fuzz.toml"), "{error}"),
    }
});
