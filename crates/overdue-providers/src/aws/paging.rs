//! Listings of many pages, to their end or to the gap that ends them.
//!
//! The SDK's own paginators go on for ever when a token repeats, and take a missing token for the end even when the page
//! says that there is more. Both are broken listings here: what was seen is kept, and the rest is a gap.

use std::collections::HashSet;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};

use overdue_core::GapReason;

use super::errors::{Refusal, mend_of};

/// No listing of ours comes near this many pages; one that does is a service handing out tokens for ever.
const PAGES_MAX: usize = 20_000;
/// A filtered listing may have empty pages, but not this many in a row.
const EMPTY_PAGES_MAX: usize = 500;

/// What a page says of the next one.
pub(super) struct Next {
    pub(super) token: Option<String>,
    /// Whether it says that there is more; `None` where only the token tells.
    pub(super) more: Option<bool>,
}

impl Next {
    /// For services that give a token while there is more.
    pub(super) fn by_token(token: Option<String>) -> Self {
        Self { token, more: None }
    }
    /// For services that give a marker and a flag.
    pub(super) fn by_flag(token: Option<String>, more: bool) -> Self {
        Self { token, more: Some(more) }
    }
}

/// The tokens of one listing. Of each a digest is kept: a bucket has pages by the hundred thousand.
pub(super) struct Tokens {
    seen: HashSet<u64>,
    state: RandomState,
    pages: usize,
    pages_max: usize,
    empty: usize,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { seen: HashSet::new(), state: RandomState::new(), pages: 0, pages_max: PAGES_MAX, empty: 0 }
    }
}

impl Tokens {
    /// For a listing that may be of any length and whose order shows when it goes in circles.
    pub(super) fn of_ordered() -> Self {
        Self { pages_max: usize::MAX, ..Self::default() }
    }

    /// The token to go on with, `None` at the end, or why there is no going on.
    pub(super) fn step(&mut self, listing: &str, items: usize, next: Next) -> Result<Option<String>, Refusal> {
        self.pages += 1;
        self.empty = if items == 0 { self.empty + 1 } else { 0 };
        let broken = |why: String| Err(Refusal::new(GapReason::BrokenListing, why, mend_of(GapReason::BrokenListing)));
        let token = next.token.filter(|token| !token.is_empty());
        match (token, next.more) {
            (_, Some(false)) | (None, None) => Ok(None),
            (None, Some(true)) => broken(format!("{listing}: a page says that there is more, but not where")),
            (Some(_), _) if self.pages >= self.pages_max => broken(format!("{listing}: more than {} pages", self.pages_max)),
            (Some(_), _) if self.empty >= EMPTY_PAGES_MAX => broken(format!("{listing}: {EMPTY_PAGES_MAX} empty pages in a row")),
            (Some(token), _) => {
                if self.seen.insert(self.state.hash_one(&token)) {
                    Ok(Some(token))
                } else {
                    broken(format!("{listing}: the same page token came twice"))
                }
            }
        }
    }
}

/// All items of a listing, and the refusal that ended it early, if one did.
pub(super) async fn all_pages<T, Ask, Answer>(listing: &str, mut ask: Ask) -> (Vec<T>, Option<Refusal>)
where
    Ask: FnMut(Option<String>) -> Answer,
    Answer: Future<Output = Result<(Vec<T>, Next), Refusal>>,
{
    let mut items = Vec::new();
    let mut tokens = Tokens::default();
    let mut token = None;
    loop {
        let (page, next) = match ask(token.take()).await {
            Ok(answer) => answer,
            Err(refusal) => return (items, Some(refusal)),
        };
        let step = tokens.step(listing, page.len(), next);
        items.extend(page);
        match step {
            Ok(Some(next)) => token = Some(next),
            Ok(None) => return (items, None),
            Err(refusal) => return (items, Some(refusal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn list(pages: Vec<(Vec<u32>, Next)>) -> (Vec<u32>, Option<String>) {
        let mut pages = pages.into_iter();
        let (items, refusal) = all_pages("x:List", |_| std::future::ready(Ok(pages.next().expect("asked for a page too many")))).await;
        (items, refusal.map(|refusal| refusal.detail))
    }
    fn on(token: &str) -> Next {
        Next::by_token(Some(token.to_owned()))
    }

    #[tokio::test]
    async fn a_listing_ends_without_a_token() {
        let end = Next::by_token(None);
        assert_eq!(list(vec![(vec![1], on("a")), (vec![], on("b")), (vec![2], end)]).await, (vec![1, 2], None));
        let stale = Next::by_flag(Some("a".to_owned()), false);
        assert_eq!(list(vec![(vec![1], on("a")), (vec![2], stale)]).await, (vec![1, 2], None));
        assert_eq!(list(vec![(vec![1], on(""))]).await, (vec![1], None));
    }

    #[tokio::test]
    async fn a_repeated_token_ends_it_with_a_gap() {
        let (items, why) = list(vec![(vec![1], on("a")), (vec![2], on("a"))]).await;
        assert_eq!((items, why.as_deref()), (vec![1, 2], Some("x:List: the same page token came twice")));
    }

    #[tokio::test]
    async fn more_without_a_token_is_a_gap() {
        let (items, why) = list(vec![(vec![1], Next::by_flag(None, true))]).await;
        assert_eq!((items, why.as_deref()), (vec![1], Some("x:List: a page says that there is more, but not where")));
    }

    #[tokio::test]
    async fn fresh_tokens_without_end_are_a_gap() {
        let mut count = 0;
        let (items, refusal) = all_pages("x:List", |_| {
            count += 1;
            std::future::ready(Ok((Vec::<u8>::new(), on(&count.to_string()))))
        })
        .await;
        assert_eq!((items.len(), refusal.unwrap().reason, count), (0, GapReason::BrokenListing, EMPTY_PAGES_MAX));
    }
}
