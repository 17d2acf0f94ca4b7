//! Resolution: where two rules claim the same bytes, the more specific one keeps them.

use super::found::Found;
use crate::rules::rule::rank_of;

/// Keeps one find for each place. `finds` come from one text, those from decoded parts of it included.
pub(crate) fn resolve(mut finds: Vec<Found>) -> Vec<Found> {
    // The strongest first; of equals the one that needed no decoding, then the longer, then the earlier.
    finds.sort_by(|a, b| {
        b.rank
            .cmp(&a.rank)
            .then(a.decoded.len().cmp(&b.decoded.len()))
            .then((b.end - b.start).cmp(&(a.end - a.start)))
            .then(a.start.cmp(&b.start))
            .then(a.rule.cmp(&b.rule))
    });
    let mut kept: std::collections::BTreeMap<(u64, usize), Found> = std::collections::BTreeMap::new();
    let mut longest = 0;
    for (order, find) in finds.into_iter().enumerate() {
        let from = find.start.saturating_sub(longest);
        let beaten = kept
            .range((from, 0)..(find.end.max(find.start + 1), 0))
            .any(|(_, stronger)| stronger.end > find.start && beats(stronger, &find));
        if !beaten {
            longest = longest.max(find.end - find.start);
            kept.insert((find.start, order), find);
        }
    }
    kept.into_values().collect()
}

/// Whether the stronger of two finds that share bytes leaves no room for the weaker.
fn beats(stronger: &Found, weaker: &Found) -> bool {
    if stronger.decoded == weaker.decoded {
        // Everything found in one encoded run has the run's own place, so a shared place alone means nothing there.
        return stronger.decoded.is_empty() || stronger.fingerprint == weaker.fingerprint;
    }
    // One in the text, one in what the text encodes: a guess gives way to a form that is known; of two forms both stay,
    // unless they are the same secret.
    weaker.rank < rank_of::FORM && stronger.rank > weaker.rank || stronger.fingerprint == weaker.fingerprint
}
