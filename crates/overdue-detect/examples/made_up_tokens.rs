//! `cargo run --release --example made_up_tokens -- 4`: so many made-up secrets of each rule, as JSON lines.
//!
//! One object a secret: `rule`, `text` (in which the rule finds it), `secret` (as it stands there), `public_id`. For
//! corpora that must hold something to find, and must not be kept in files.

use std::io::Write;

use overdue_detect::RuleSet;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(1), |count| count.parse())?;
    let rules = RuleSet::builtin()?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for facts in rules.facts() {
        for seed in 0..count {
            if let Some(made) = rules.example(facts.id.as_str(), seed) {
                let one = serde_json::json!({
                    "rule": facts.id.as_str(), "service": facts.service, "text": made.text, "secret": made.secret,
                    "public_id": made.public_id, "id_only": facts.id_only,
                });
                writeln!(out, "{one}")?;
            }
        }
    }
    Ok(out.flush()?)
}
