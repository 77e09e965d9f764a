//! The functions that a script may call, by dialect, and what stands in their place. What is not here is refused: a function of
//! DataFusion with the same name may mean something else.
//!
//! Meanings are those of Hive's LanguageManual UDF page, Spark's SQL function reference and Presto's documentation.

use foggara_domain::sql::SqlDialect;

/// What stands in the place of a call.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// An expression; `__0`, `__1` are the arguments.
    Form(&'static str),
    /// The same call under another name, each argument inside of the named function unless that is empty.
    Call(&'static str, &'static str),
    /// Does not run, with a hint.
    Refused(&'static str),
}

/// Looks a call up; none when the name is unknown, and `Err` with the numbers of arguments it takes when these do not fit.
pub fn find(dialect: SqlDialect, name: &str, arguments: usize) -> Result<Option<Rule>, Vec<usize>> {
    let own: &[(&[&str], i32, Rule)] = match dialect {
        SqlDialect::Hive => HIVE,
        SqlDialect::Spark => SPARK,
        SqlDialect::Presto => PRESTO,
    };
    let shared: &[(&[&str], i32, Rule)] = if dialect == SqlDialect::Presto { &[] } else { BOTH };
    let mut wanted = Vec::new();
    for (names, count, rule) in own.iter().chain(shared).chain(ALL) {
        if !names.contains(&name) {
            continue;
        }
        match usize::try_from(*count) {
            Ok(count) if count != arguments => wanted.push(count),
            _ => return Ok(Some(*rule)),
        }
    }
    if wanted.is_empty() { Ok(None) } else { Err(wanted) }
}

/// Parts of a time that EXTRACT gives with the same number in all dialects.
pub const PARTS: [&str; 8] = ["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOY", "HOUR", "MINUTE"];

/// Functions that make rows.
pub const GENERATORS: [&str; 4] = ["explode", "explode_outer", "posexplode", "posexplode_outer"];

use Rule::{Call, Form, Refused};

type Line = (&'static [&'static str], i32, Rule);

/// The same in all dialects; -1: any number of arguments.
static ALL: &[Line] = &[
    (&["count"], -1, Call("count", "")),
    (&["sum"], 1, Call("sum", "hive_number")),
    (&["avg"], 1, Call("avg", "hive_number")),
    (&["min"], 1, Call("min", "")),
    (&["max"], 1, Call("max", "")),
    (&["stddev_samp"], 1, Call("stddev_samp", "")),
    (&["stddev_pop"], 1, Call("stddev_pop", "")),
    (&["var_samp"], 1, Call("var_samp", "")),
    (&["var_pop"], 1, Call("var_pop", "")),
    (&["corr"], 2, Call("corr", "")),
    (&["covar_pop"], 2, Call("covar_pop", "")),
    (&["covar_samp"], 2, Call("covar_samp", "")),
    (&["row_number"], 0, Call("row_number", "")),
    (&["rank"], 0, Call("rank", "")),
    (&["dense_rank"], 0, Call("dense_rank", "")),
    (&["percent_rank"], 0, Call("percent_rank", "")),
    (&["cume_dist"], 0, Call("cume_dist", "")),
    (&["ntile"], 1, Call("ntile", "")),
    (&["lag"], -1, Call("lag", "")),
    (&["lead"], -1, Call("lead", "")),
    (&["first_value"], -1, Call("first_value", "")),
    (&["last_value"], -1, Call("last_value", "")),
    (&["nth_value"], 2, Call("nth_value", "")),
    (&["coalesce"], -1, Call("coalesce", "")),
    (&["nullif"], 2, Call("nullif", "")),
    (&["lower"], 1, Form("lower(hive_text(__0))")),
    (&["upper"], 1, Form("upper(hive_text(__0))")),
    (&["trim"], 1, Form("btrim(hive_text(__0))")),
    (&["ltrim"], 1, Form("ltrim(hive_text(__0))")),
    (&["rtrim"], 1, Form("rtrim(hive_text(__0))")),
    (&["reverse"], 1, Form("reverse(hive_text(__0))")),
    (&["replace"], 3, Form("replace(hive_text(__0), hive_text(__1), hive_text(__2))")),
    (&["concat"], -1, Call("concat", "hive_text")),
    (&["pi"], 0, Form("pi()")),
    (&["current_date"], 0, Form("current_date()")),
];

/// The same in Hive and Spark.
static BOTH: &[Line] = &[
    // Conditions.
    (&["nvl", "ifnull"], 2, Form("CASE WHEN __0 IS NOT NULL THEN __0 ELSE __1 END")),
    (&["nvl2"], 3, Form("CASE WHEN __0 IS NOT NULL THEN __1 ELSE __2 END")),
    (&["if"], 3, Form("CASE WHEN __0 THEN __1 ELSE __2 END")),
    (&["map"], -1, Call("map", "")),
    (&["struct"], -1, Call("named_struct", "")),
    (&["isnull"], 1, Form("(__0 IS NULL)")),
    (&["isnotnull"], 1, Form("(__0 IS NOT NULL)")),
    // Text.
    (&["lcase"], 1, Form("lower(hive_text(__0))")),
    (&["ucase"], 1, Form("upper(hive_text(__0))")),
    (&["length", "char_length", "character_length"], 1, Form("character_length(hive_text(__0))")),
    (&["octet_length"], 1, Form("octet_length(hive_text(__0))")),
    (&["substr", "substring"], 2, Form("hive_substring(hive_text(__0), hive_cast(__1, 'bigint'))")),
    (
        &["substr", "substring"],
        3,
        Form("hive_substring(hive_text(__0), hive_cast(__1, 'bigint'), hive_cast(__2, 'bigint'))"),
    ),
    (&["left"], 2, Form("hive_substring(hive_text(__0), CAST(1 AS BIGINT), hive_cast(__1, 'bigint'))")),
    (
        &["right"],
        2,
        Form("right(hive_text(__0), CASE WHEN hive_cast(__1, 'bigint') > 0 THEN hive_cast(__1, 'bigint') ELSE 0 END)"),
    ),
    (&["substring_index"], 3, Form("substr_index(hive_text(__0), hive_text(__1), hive_cast(__2, 'bigint'))")),
    (&["instr"], 2, Form("CAST(strpos(hive_text(__0), hive_text(__1)) AS INT)")),
    (&["locate"], 2, Form("CAST(strpos(hive_text(__1), hive_text(__0)) AS INT)")),
    (&["lpad"], 2, Form("lpad(hive_text(__0), hive_cast(__1, 'bigint'), ' ')")),
    (&["lpad"], 3, Form("lpad(hive_text(__0), hive_cast(__1, 'bigint'), hive_text(__2))")),
    (&["rpad"], 2, Form("rpad(hive_text(__0), hive_cast(__1, 'bigint'), ' ')")),
    (&["rpad"], 3, Form("rpad(hive_text(__0), hive_cast(__1, 'bigint'), hive_text(__2))")),
    (&["repeat"], 2, Form("repeat(hive_text(__0), hive_cast(__1, 'bigint'))")),
    (&["space"], 1, Form("repeat(' ', hive_cast(__0, 'bigint'))")),
    (&["translate"], 3, Form("translate(hive_text(__0), hive_text(__1), hive_text(__2))")),
    (&["initcap"], 1, Form("hive_initcap(hive_text(__0))")),
    (&["ascii"], 1, Form("ascii(hive_text(__0))")),
    (&["concat_ws"], -1, Call("concat_ws", "hive_text_or_list")),
    (&["split"], 2, Form("hive_split(hive_text(__0), __1)")),
    (&["regexp_extract"], 2, Form("hive_regexp_extract(hive_text(__0), __1, 1)")),
    (&["regexp_extract"], 3, Form("hive_regexp_extract(hive_text(__0), __1, hive_cast(__2, 'int'))")),
    (&["regexp_replace"], 3, Form("hive_regexp_replace(hive_text(__0), __1, hive_text(__2))")),
    (&["regexp_like", "rlike", "regexp"], 2, Form("hive_rlike(hive_text(__0), __1)")),
    (&["get_json_object"], 2, Form("get_json_object(hive_text(__0), __1)")),
    (&["levenshtein"], 2, Form("levenshtein(hive_text(__0), hive_text(__1))")),
    (&["soundex"], 1, Form("soundex(hive_text(__0))")),
    (&["md5"], 1, Form("md5(hive_text(__0))")),
    (&["sha", "sha1"], 1, Form("sha1(hive_text(__0))")),
    (&["sha2"], 2, Form("sha2(hive_text(__0), hive_cast(__1, 'int'))")),
    (&["crc32"], 1, Form("crc32(hive_text(__0))")),
    (&["parse_url"], -1, Call("parse_url", "hive_text")),
    (&["find_in_set"], 2, Form("find_in_set(hive_text(__0), hive_text(__1))")),
    // Numbers.
    (&["abs"], 1, Call("abs", "")),
    (&["negative"], 1, Form("(- (__0))")),
    (&["ceil", "ceiling"], 1, Call("ceil", "")),
    (&["floor"], 1, Call("floor", "")),
    (&["round"], 1, Form("hive_digits(round(hive_number(__0)), 0)")),
    (&["round"], 2, Form("hive_digits(round(hive_number(__0), hive_cast(__1, 'int')), __1)")),
    (&["cbrt"], 1, Form("cbrt(hive_cast(__0, 'double'))")),
    (&["exp"], 1, Form("exp(hive_cast(__0, 'double'))")),
    (&["ln", "log"], 1, Form("CASE WHEN hive_cast(__0, 'double') > 0 THEN ln(hive_cast(__0, 'double')) END")),
    (&["log10"], 1, Form("CASE WHEN hive_cast(__0, 'double') > 0 THEN log10(hive_cast(__0, 'double')) END")),
    (&["log2"], 1, Form("CASE WHEN hive_cast(__0, 'double') > 0 THEN log2(hive_cast(__0, 'double')) END")),
    (
        &["log"],
        2,
        Form(
            "CASE WHEN hive_cast(__0, 'double') > 0 AND hive_cast(__1, 'double') > 0 \
              THEN ln(hive_cast(__1, 'double')) / ln(hive_cast(__0, 'double')) END",
        ),
    ),
    (&["pow", "power"], 2, Form("power(hive_cast(__0, 'double'), hive_cast(__1, 'double'))")),
    (&["sin"], 1, Form("sin(hive_cast(__0, 'double'))")),
    (&["cos"], 1, Form("cos(hive_cast(__0, 'double'))")),
    (&["tan"], 1, Form("tan(hive_cast(__0, 'double'))")),
    (&["asin"], 1, Form("asin(hive_cast(__0, 'double'))")),
    (&["acos"], 1, Form("acos(hive_cast(__0, 'double'))")),
    (&["atan"], 1, Form("atan(hive_cast(__0, 'double'))")),
    (&["degrees"], 1, Form("degrees(hive_cast(__0, 'double'))")),
    (&["radians"], 1, Form("radians(hive_cast(__0, 'double'))")),
    (&["sign", "signum"], 1, Form("signum(hive_cast(__0, 'double'))")),
    (&["e"], 0, Form("exp(1.0)")),
    (&["rand", "random"], 0, Form("random()")),
    (&["pmod"], 2, Call("pmod", "")),
    (&["mod"], 2, Form("((__0) % (__1))")),
    (&["hex"], 1, Call("hex", "")),
    (&["bin"], 1, Form("bin(hive_cast(__0, 'bigint'))")),
    (&["factorial"], 1, Form("factorial(hive_cast(__0, 'int'))")),
    (&["bround"], -1, Refused("round rounds half up")),
    // Days and times.
    (&["current_timestamp", "now"], 0, Form("hive_cast(now(), 'timestamp')")),
    (&["to_date"], 1, Form("hive_cast(__0, 'date')")),
    (&["to_date"], 2, Form("hive_parse_day(hive_text(__0), __1)")),
    (&["to_timestamp"], 1, Form("hive_cast(__0, 'timestamp')")),
    (&["to_timestamp"], 2, Form("hive_parse_time(hive_text(__0), __1)")),
    (&["date_format"], 2, Form("hive_date_format(hive_cast(__0, 'timestamp'), __1)")),
    (&["from_unixtime"], 1, Form("hive_from_unixtime(hive_cast(__0, 'bigint'), 'yyyy-MM-dd HH:mm:ss')")),
    (&["from_unixtime"], 2, Form("hive_from_unixtime(hive_cast(__0, 'bigint'), __1)")),
    (&["unix_timestamp"], 0, Form("hive_seconds(hive_cast(now(), 'timestamp'))")),
    (&["unix_timestamp", "to_unix_timestamp"], 1, Form("hive_seconds(hive_stamp(__0))")),
    (&["unix_timestamp", "to_unix_timestamp"], 2, Form("hive_parse_seconds(hive_text(__0), __1)")),
    (&["date_add"], 2, Form("date_add(hive_cast(__0, 'date'), hive_cast(__1, 'int'))")),
    (&["date_sub"], 2, Form("date_sub(hive_cast(__0, 'date'), hive_cast(__1, 'int'))")),
    (&["datediff"], 2, Form("date_diff(hive_cast(__0, 'date'), hive_cast(__1, 'date'))")),
    (&["add_months"], 2, Form("add_months(hive_cast(__0, 'date'), hive_cast(__1, 'int'))")),
    (&["last_day"], 1, Form("last_day(hive_cast(__0, 'date'))")),
    (&["next_day"], 2, Form("next_day(hive_cast(__0, 'date'), hive_text(__1))")),
    (&["trunc"], 2, Form("trunc(hive_cast(__0, 'date'), hive_text(__1))")),
    (&["year"], 1, Form("CAST(extract(year FROM hive_cast(__0, 'date')) AS INT)")),
    (&["quarter"], 1, Form("CAST(extract(quarter FROM hive_cast(__0, 'date')) AS INT)")),
    (&["month"], 1, Form("CAST(extract(month FROM hive_cast(__0, 'date')) AS INT)")),
    (&["day", "dayofmonth"], 1, Form("CAST(extract(day FROM hive_cast(__0, 'date')) AS INT)")),
    (&["dayofyear"], 1, Form("CAST(extract(doy FROM hive_cast(__0, 'date')) AS INT)")),
    (&["weekofyear"], 1, Form("CAST(extract(week FROM hive_cast(__0, 'date')) AS INT)")),
    (&["dayofweek"], 1, Form("(weekday(date_add(hive_cast(__0, 'date'), hive_cast(1, 'int'))) + 1)")),
    (&["hour"], 1, Form("hour(hive_clock(__0))")),
    (&["minute"], 1, Form("minute(hive_clock(__0))")),
    (&["second"], 1, Form("second(hive_clock(__0))")),
    (&["months_between"], -1, Refused("compute it from year and month")),
    (&["from_utc_timestamp"], 2, Form("hive_cast(from_utc_timestamp(hive_cast(__0, 'timestamp'), __1), 'timestamp')")),
    (&["to_utc_timestamp"], 2, Form("hive_cast(to_utc_timestamp(hive_cast(__0, 'timestamp'), __1), 'timestamp')")),
    // Lists and maps.
    (&["size"], 1, Form("size(__0)")),
    (&["array"], -1, Call("array", "")),
    (&["array_contains"], 2, Call("array_contains", "")),
    (&["sort_array"], 1, Form("array_sort(__0, 'ASC', 'NULLS FIRST')")),
    (&["map_keys"], 1, Call("map_keys", "")),
    (&["map_values"], 1, Call("map_values", "")),
    (&["named_struct"], -1, Call("named_struct", "")),
    (&["str_to_map"], -1, Call("str_to_map", "hive_text")),
    (&["array_distinct"], 1, Call("array_distinct", "")),
    (&["array_max"], 1, Call("array_max", "")),
    (&["array_min"], 1, Call("array_min", "")),
    (&["array_join"], 2, Form("array_to_string(__0, hive_text(__1))")),
    (&["json_tuple"], -1, Refused("use get_json_object for each field")),
    (
        &["inline", "inline_outer", "stack", "posexplode_outer", "parse_url_tuple"],
        -1,
        Refused("explode and posexplode run"),
    ),
    // Aggregates.
    (&["collect_list"], 1, Call("collect_list", "")),
    (&["collect_set"], 1, Call("collect_set", "")),
    (&["percentile"], 2, Form("percentile_cont(hive_cast(__0, 'double'), __1)")),
    (&["percentile_approx", "approx_percentile"], -1, Call("approx_percentile_cont", "")),
    (&["first"], 1, Call("first_value", "")),
    (&["last"], 1, Call("last_value", "")),
    (&["variance"], 1, Refused("say var_pop or var_samp")),
    (&["std"], 1, Call("stddev_samp", "")),
    (&["grouping"], 1, Call("grouping", "")),
    // Words for those who look for what is not here.
    (&["reflect", "java_method"], -1, Refused("the program has no JVM")),
    (&["transform"], -1, Refused("the program starts no other programs and has no lambdas")),
    (&["array_agg"], 1, Call("collect_list", "")),
    (&["array_position"], 2, Refused("use array_contains")),
    (&["sequence"], -1, Refused("use a table of numbers")),
    (&["format_number"], -1, Refused("use round and lpad")),
    (&["printf", "format_string"], -1, Refused("use concat and lpad")),
    (&["uuid"], -1, Refused("use md5 over a key")),
    (&["input_file_name"], -1, Refused("use partition columns")),
    (&["hash"], -1, Refused("use crc32 or md5")),
];

static HIVE: &[Line] = &[
    (&["sqrt"], 1, Form("CASE WHEN hive_cast(__0, 'double') >= 0 THEN sqrt(hive_cast(__0, 'double')) END")),
    (&["variance"], 1, Call("var_pop", "")),
    (&["stddev", "std"], 1, Call("stddev_pop", "")),
    (&["greatest"], -1, Call("greatest", "")),
    (&["least"], -1, Call("least", "")),
    (&["date_trunc"], -1, Refused("use trunc for dates")),
    (&["approx_count_distinct"], -1, Refused("count(DISTINCT x) gives the exact number")),
];

static SPARK: &[Line] = &[
    (
        &["sqrt"],
        1,
        Form(
            "CASE WHEN hive_cast(__0, 'double') < 0 THEN hive_cast('NaN', 'double') ELSE sqrt(hive_cast(__0, 'double')) END",
        ),
    ),
    (&["variance"], 1, Call("var_samp", "")),
    (&["stddev"], 1, Call("stddev_samp", "")),
    (&["greatest"], -1, Call("greatest", "")),
    (&["least"], -1, Call("least", "")),
    (&["date_trunc"], 2, Form("date_trunc(hive_text(__0), hive_cast(__1, 'timestamp'))")),
    (&["approx_count_distinct"], 1, Call("approx_distinct", "")),
    (&["split"], 3, Form("hive_split(hive_text(__0), __1, hive_cast(__2, 'int'))")),
    (&["date_diff"], 2, Form("date_diff(hive_cast(__0, 'date'), hive_cast(__1, 'date'))")),
    (&["cardinality"], 1, Form("size(__0)")),
    (&["any_value"], 1, Call("first_value", "")),
    (&["bool_and", "every"], 1, Call("bool_and", "")),
    (&["bool_or", "any", "some"], 1, Call("bool_or", "")),
    (&["count_if"], 1, Form("count(CASE WHEN __0 THEN 1 END)")),
    (&["median"], 1, Form("percentile_cont(hive_cast(__0, 'double'), 0.5)")),
    (&["slice"], 3, Call("slice", "")),
];

static PRESTO: &[Line] = &[
    (&["stddev"], 1, Call("stddev_samp", "")),
    (&["variance"], 1, Call("var_samp", "")),
    (&["if"], 3, Form("CASE WHEN __0 THEN __1 ELSE __2 END")),
    (&["if"], 2, Form("CASE WHEN __0 THEN __1 END")),
    (&["length"], 1, Form("CAST(character_length(__0) AS BIGINT)")),
    (
        &["substr", "substring"],
        2,
        Form(
            "CASE WHEN CAST(__1 AS BIGINT) = 0 OR CAST(__1 AS BIGINT) < - character_length(__0) THEN '' \
              ELSE hive_substring(__0, CAST(__1 AS BIGINT)) END",
        ),
    ),
    (
        &["substr", "substring"],
        3,
        Form(
            "CASE WHEN CAST(__1 AS BIGINT) = 0 OR CAST(__1 AS BIGINT) < - character_length(__0) THEN '' \
              ELSE hive_substring(__0, CAST(__1 AS BIGINT), CAST(__2 AS BIGINT)) END",
        ),
    ),
    (&["cardinality"], 1, Form("CASE WHEN __0 IS NOT NULL THEN CAST(size(__0) AS BIGINT) END")),
    (&["greatest"], -1, Call("greatest", "")),
    (&["least"], -1, Call("least", "")),
    (&["mod"], 2, Form("((__0) % (__1))")),
    (&["array_agg"], 1, Refused("it keeps NULL in Presto; run it on a cluster")),
    (&["try"], 1, Refused("try_cast and nullif(divisor, 0) give NULL instead of an error")),
    (&["date_trunc", "date_format", "date_parse", "date_add", "date_diff"], -1, Refused("+ interval and extract do")),
    (&["json_extract", "json_extract_scalar", "json_parse"], -1, Refused("get_json_object in Hive and Spark does")),
    (&["strpos"], 2, Form("CAST(strpos(__0, __1) AS BIGINT)")),
    (&["abs"], 1, Call("abs", "")),
    (&["ceil", "ceiling"], 1, Call("ceil", "")),
    (&["floor"], 1, Call("floor", "")),
    (&["round"], 1, Form("hive_digits(round(__0), 0)")),
    (&["round"], 2, Form("round(__0, CAST(__1 AS INT))")),
    (&["sqrt"], 1, Form("sqrt(CAST(__0 AS DOUBLE))")),
    (&["exp"], 1, Form("exp(CAST(__0 AS DOUBLE))")),
    (&["ln"], 1, Form("ln(CAST(__0 AS DOUBLE))")),
    (&["pow", "power"], 2, Form("power(CAST(__0 AS DOUBLE), CAST(__1 AS DOUBLE))")),
    (&["year"], 1, Form("CAST(extract(year FROM __0) AS BIGINT)")),
    (&["month"], 1, Form("CAST(extract(month FROM __0) AS BIGINT)")),
    (&["day"], 1, Form("CAST(extract(day FROM __0) AS BIGINT)")),
    (&["date"], 1, Form("CAST(__0 AS DATE)")),
    (&["now", "current_timestamp"], 0, Form("now()")),
    (&["regexp_like"], 2, Form("hive_rlike(__0, __1)")),
    (&["approx_distinct"], 1, Call("approx_distinct", "")),
    (&["count_if"], 1, Form("count(CASE WHEN __0 THEN 1 END)")),
    (&["bool_and", "every"], 1, Call("bool_and", "")),
    (&["bool_or"], 1, Call("bool_or", "")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_by_name_and_number() {
        assert!(matches!(find(SqlDialect::Hive, "stddev", 1), Ok(Some(Call("stddev_pop", _)))));
        assert!(matches!(find(SqlDialect::Spark, "stddev", 1), Ok(Some(Call("stddev_samp", _)))));
        assert_eq!(find(SqlDialect::Hive, "substr", 1).unwrap_err(), vec![2, 3]);
        assert!(find(SqlDialect::Presto, "regexp_extract", 2).unwrap().is_none());
    }
}
