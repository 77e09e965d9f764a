//! The words of the three dialects: what sqlparser's Hive and Spark dialects accept, with strings as Hive and Spark write them.

use datafusion::sql::sqlparser::{
    ast::{BinaryOperator, Expr},
    dialect::Dialect,
    keywords::Keyword,
    parser::{Parser, ParserError},
};
use foggara_domain::sql::SqlDialect;

/// A dialect for the tokenizer and the parser.
#[derive(Debug, Clone, Copy)]
pub struct Words(pub SqlDialect);

impl Words {
    fn presto(self) -> bool {
        self.0 == SqlDialect::Presto
    }

    fn spark(self) -> bool {
        self.0 == SqlDialect::Spark
    }
}

impl Dialect for Words {
    /// In Hive and Spark `"x"` is a string.
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        if self.presto() { ch == '"' } else { ch == '`' }
    }

    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some(if self.presto() { '"' } else { '`' })
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        !self.presto()
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_group_by_with_modifier(&self) -> bool {
        !self.presto()
    }

    fn supports_select_wildcard_except(&self) -> bool {
        self.spark()
    }

    fn supports_bang_not_operator(&self) -> bool {
        !self.presto()
    }

    fn supports_select_item_multi_column_alias(&self) -> bool {
        !self.presto()
    }

    fn supports_values_as_table_factor(&self) -> bool {
        self.spark()
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_long_type_as_bigint(&self) -> bool {
        self.spark()
    }

    /// `DIV` divides integers.
    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if self.presto() || !parser.parse_keyword(Keyword::DIV) {
            return None;
        }
        Some(parser.parse_subexpr(precedence).map(|right| Expr::BinaryOp {
            left: Box::new(expr.clone()),
            op: BinaryOperator::MyIntegerDivide,
            right: Box::new(right),
        }))
    }
}
