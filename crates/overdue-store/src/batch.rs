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

/// `head ($1, $2), ($3, $4) tail`, for `rows` rows of `columns` parameters.
pub(crate) fn rows_sql(head: &str, columns: usize, rows: usize, tail: &str) -> sqlx::AssertSqlSafe<String> {
    let mut sql = String::with_capacity(head.len() + tail.len() + rows * columns * 8);
    sql.push_str(head);
    let mut number = 0;
    for row in 0..rows {
        sql.push_str(if row == 0 { " (" } else { ", (" });
        for column in 0..columns {
            number += 1;
            if column > 0 {
                sql.push_str(", ");
            }
            sql.push('$');
            sql.push_str(&number.to_string());
        }
        sql.push(')');
    }
    sql.push(' ');
    sql.push_str(tail);
    sqlx::AssertSqlSafe(sql)
}

/// `head ($3, $4, $5) tail`: `count` parameters in parentheses, the first of them `$first`.
pub(crate) fn list_sql(head: &str, first: usize, count: usize, tail: &str) -> sqlx::AssertSqlSafe<String> {
    let list: Vec<String> = (first..first + count).map(|number| format!("${number}")).collect();
    sqlx::AssertSqlSafe(format!("{head} ({}) {tail}", list.join(", ")))
}
