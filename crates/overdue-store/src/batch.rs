//! Statements over many rows. A statement costs a way to the database's thread and back, so thousands of rows go in few
//! statements; and statements come in few sizes, so that each is prepared once.

/// The sizes. The largest stays far under the 32,766 parameters that SQLite and the 65,535 that PostgreSQL allow.
const SIZES: [usize; 3] = [256, 16, 1];

/// Cuts `items` into pieces whose lengths are among [`SIZES`].
pub(crate) fn pieces<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= items.len())?;
        let (piece, rest) = items.split_at(size);
        items = rest;
        Some(piece)
    })
}

/// `head (?, ?), (?, ?) tail`, for `rows` rows of `columns` parameters.
///
/// Parameters without a number: SQLite looks numbered ones up in a list, which takes the square of their count. For
/// PostgreSQL they will be numbered here.
pub(crate) fn rows_sql(head: &str, columns: usize, rows: usize, tail: &str) -> sqlx::AssertSqlSafe<String> {
    let row = format!("({})", vec!["?"; columns].join(", "));
    sqlx::AssertSqlSafe(format!("{head} {} {tail}", vec![row; rows].join(", ")))
}

/// `head (?, ?, ?) tail`: `count` parameters in parentheses. Those of `head`, `?` as well, come before them.
pub(crate) fn list_sql(head: &str, count: usize, tail: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("{head} ({}) {tail}", vec!["?"; count].join(", ")))
}
