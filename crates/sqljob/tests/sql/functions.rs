//! Functions and operators: what Hive's LanguageManual and Spark's reference say they give.

use foggara_domain::sql::SqlDialect::{Hive, Spark};

use crate::bench::Bench;

fn check(cases: &[(&str, &str)], dialect: foggara_domain::sql::SqlDialect) {
    let bench = Bench::new(dialect);
    let script: Vec<String> = cases.iter().map(|(expr, _)| format!("SELECT {expr}")).collect();
    let got = bench.rows(&script.join(";\n"));
    assert_eq!(got.len(), cases.len());
    let wrong: Vec<_> = cases.iter().zip(&got).filter(|((_, want), got)| want != got).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The same in both.
const BOTH: &[(&str, &str)] = &[
    ("1 / 2", "0.5"),
    ("7 div 2", "3"),
    ("-7 % 3", "-1"),
    ("5 % 0", "NULL"),
    ("5 / 0", "NULL"),
    ("'10' + 5", "15.0"),
    ("'10' > 9", "true"),
    ("'9' < 10", "true"),
    ("10 IN ('10', 'x')", "true"),
    ("5 BETWEEN '10' AND '20'", "false"),
    ("1 == 1", "true"),
    ("NULL <=> NULL", "true"),
    ("1 <=> NULL", "false"),
    ("CAST('abc' AS INT)", "NULL"),
    ("CAST('12.7' AS INT)", "12"),
    ("CAST(' 5 ' AS INT)", "5"),
    ("CAST(3.9 AS INT)", "3"),
    ("CAST('300' AS TINYINT)", "NULL"),
    ("CAST('2024-02-30' AS DATE)", "NULL"),
    ("CAST(10000000 AS DOUBLE)", "1.0E7"),
    ("substr('hello', 0, 2)", "he"),
    ("substr('hello', 2)", "ello"),
    ("substr('hello', -3)", "llo"),
    ("substring('hello', -3, 2)", "ll"),
    ("instr('hello', 'l')", "3"),
    ("instr('hello', 'z')", "0"),
    ("locate('l', 'hello')", "3"),
    ("lpad('5', 3, '0')", "005"),
    ("lpad('hello', 3, '0')", "hel"),
    ("rpad('5', 3, 'x')", "5xx"),
    ("concat('a', NULL)", "NULL"),
    ("concat('a', 1)", "a1"),
    ("concat_ws('-', 'a', NULL, 'b')", "a-b"),
    ("concat_ws(',', split('a b', ' '))", "a,b"),
    ("'a' || 'b'", "ab"),
    ("nvl(NULL, 'x')", "x"),
    ("if(1 > 2, 'a', 'b')", "b"),
    ("size(split('a,b,', ','))", "3"),
    ("split('oneAtwoBthree', '[ABC]')", "[\"one\",\"two\",\"three\"]"),
    ("split('a,b', ',')[0]", "a"),
    ("array(1, 2, 3)[3]", "NULL"),
    ("regexp_extract('100-200', '(\\\\d+)-(\\\\d+)', 1)", "100"),
    ("regexp_extract('foothebar', 'foo(.*?)(bar)', 2)", "bar"),
    ("regexp_extract('x', '(y)', 1)", ""),
    ("regexp_replace('100-200', '(\\\\d+)', 'num')", "num-num"),
    ("regexp_replace('ab', '(a)(b)', '$2$1')", "ba"),
    ("'Facebook' RLIKE '^F.*k$'", "true"),
    ("get_json_object('{\"a\":{\"b\":[1,{\"c\":\"x\"}]}}', '$.a.b[1].c')", "x"),
    ("get_json_object('{\"a\":1}', '$.z')", "NULL"),
    ("get_json_object('junk', '$.z')", "NULL"),
    ("unix_timestamp('1970-01-02 00:00:01')", "86401"),
    ("unix_timestamp('02/01/1970', 'dd/MM/yyyy')", "86400"),
    ("from_unixtime(0)", "1970-01-01 00:00:00"),
    ("from_unixtime(0, 'yyyy/MM')", "1970/01"),
    ("date_format('2016-04-08', 'y')", "2016"),
    ("date_format('2024-03-05 14:07:09', 'dd.MM.yyyy hh:mm a')", "05.03.2024 02:07 PM"),
    ("date_add('2016-07-30', 1)", "2016-07-31"),
    ("date_sub('2016-07-30', 1)", "2016-07-29"),
    ("datediff('2009-07-31', '2009-07-30')", "1"),
    ("to_date('2009-07-30 04:17:52')", "2009-07-30"),
    ("to_date('junk')", "NULL"),
    ("add_months('2016-08-31', 1)", "2016-09-30"),
    ("last_day('2009-01-12')", "2009-01-31"),
    ("trunc('2024-03-05', 'MM')", "2024-03-01"),
    ("year('2016-07-30')", "2016"),
    ("quarter('2016-08-31')", "3"),
    ("dayofweek('2009-07-30')", "5"),
    ("weekofyear('2008-02-20')", "8"),
    ("hour('2009-07-30 12:58:59')", "12"),
    ("round(2.5e0)", "3.0"),
    ("round(-2.5e0)", "-3.0"),
    ("round(2.5) = 3", "true"),
    ("ceil(-0.1)", "0"),
    ("floor(-0.1)", "-1"),
    ("pmod(-7, 3)", "2"),
    ("abs(-1)", "1"),
    ("ln(0)", "NULL"),
    ("log10(100)", "2.0"),
    ("pow(2, 3)", "8.0"),
    ("length('Spark SQL ')", "10"),
    ("initcap('sPark sql')", "Spark Sql"),
    ("reverse('abc')", "cba"),
    ("translate('AaBbCc', 'abc', '123')", "A1B2C3"),
    ("array_contains(array(1, 2), 2)", "true"),
    ("named_struct('a', 1, 'b', 'x')", "{\"a\":1,\"b\":\"x\"}"),
    ("md5('Spark')", "8cde774d6f7333752ed72cacddb05126"),
    ("1.50 / 0.30", "5.000000"),
    ("CASE 1 WHEN '1' THEN 'one' ELSE 'other' END", "one"),
    ("CASE 1e0 WHEN 1 THEN 'one' END", "one"),
    ("0.06 + 0.01 = 0.07", "true"),
    ("map('a', 1, 'b', NULL)", "{\"a\":1,\"b\":null}"),
    ("map('a', 1)['a']", "1"),
    ("struct(1, 'x')", "{\"col1\":1,\"col2\":\"x\"}"),
    ("nvl('', 1)", ""),
    ("coalesce(NULL, 'a', 1)", "a"),
    ("round(2.345, 2)", "2.35"),
    ("round(9.5)", "10"),
    ("round(1234, -2)", "1200"),
    // Java's casts: the low bits of whole numbers, the nearest number of fractions.
    ("CAST(300 AS TINYINT)", "44"),
    ("CAST(99999999999 AS INT)", "1215752191"),
    ("CAST(1e20 AS INT)", "2147483647"),
    ("CAST('abcdef' AS VARCHAR(3))", "abc"),
    ("unix_timestamp('2024-03-05')", "NULL"),
    ("hour('12:58:59')", "12"),
    ("sum('5')", "5.0"),
    // Digits of other scripts are no `\\d` in Java.
    ("'\u{661}' RLIKE '\\\\d'", "false"),
    ("regexp_replace('ab12', '[\\\\d]+', '')", "ab"),
    ("!true", "false"),
    ("123 LIKE '1%'", "true"),
];

#[test]
fn hive_functions() {
    check(BOTH, Hive);
}

#[test]
fn spark_functions() {
    check(BOTH, Spark);
}

#[test]
fn hive_and_spark_differ() {
    let rows = "(SELECT explode(array(1, 3)) AS x) t";
    for (dialect, stddev, greatest, root) in [(Hive, "1.0", "NULL", "NULL"), (Spark, "1.4142135623730951", "2", "NaN")]
    {
        let bench = Bench::new(dialect);
        assert_eq!(bench.rows(&format!("SELECT stddev(x) FROM {rows}")), [stddev]);
        assert_eq!(bench.rows("SELECT greatest(2, NULL, 1)"), [greatest]);
        assert_eq!(bench.rows("SELECT sqrt(-1)"), [root]);
    }
    // Hive compares numbers as DOUBLE, Spark reads the text as the other side's type.
    assert_eq!(Bench::new(Hive).rows("SELECT '1.5' = 1"), ["false"]);
}

#[test]
fn null_comes_first_and_goes_last() {
    let bench = Bench::new(Hive);
    bench.rows("CREATE TABLE t AS SELECT explode(array(2, NULL, 1)) AS a");
    assert_eq!(bench.rows("SELECT a FROM t ORDER BY a"), ["NULL", "1", "2"]);
    assert_eq!(bench.rows("SELECT a FROM t ORDER BY A DESC"), ["2", "1", "NULL"]);
    assert_eq!(
        bench.rows("SELECT count(a), count(*), sum(a), avg(a), size(collect_list(a)) FROM t"),
        ["2\t3\t3\t1.5\t2"]
    );
}

#[test]
fn columns_have_the_names_of_the_dialect() {
    let bench = Bench::new(Hive);
    bench.rows("SELECT 1 + 1, upper('a') AS Up, count(*)");
    assert_eq!(bench.answer().statements[0].columns.as_deref().unwrap(), ["_c0", "up", "_c2"]);
}
