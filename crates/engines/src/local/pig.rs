//! Scripts of Pig by its own client, `pig -x local`. Params and settings go into files of mode 0600: no value ever stands on the
//! command line. Libraries lie in the working directory, where `REGISTER name.jar` finds them.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use foggara_domain::plan::Plan;

use super::{
    LocalSettings,
    command::{Command, private},
    find, logs,
    spark::properties,
};

/// How much of the end of what Pig said is looked through for its reason.
const TAIL: u64 = 64 * 1024;
/// How much of the reason is shown.
const SHOWN: usize = 500;

/// Why a script failed, in Pig's own words: it logs its errors with their numbers, `ERROR 1066: Unable to open iterator for alias a`
/// (Pig's documentation, "Error handling"), and that of its shell Grunt, which is what ended the script, last.
pub(super) fn reason(stderr: &Path) -> Option<String> {
    let end = logs::read(stderr, 0, 0).ok()?.size;
    let text = logs::read(stderr, end.saturating_sub(TAIL), usize::try_from(TAIL).ok()?).ok()?.bytes;
    numbered(&String::from_utf8_lossy(&text))
}

fn numbered(said: &str) -> Option<String> {
    let error = |line: &str| {
        line.match_indices("ERROR ").map(|(at, _)| &line[at..]).find_map(|error| {
            let (number, text) = error["ERROR ".len()..].split_once(": ")?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            // Number 0 only says that there is one that it does not know.
            (is_number && !text.trim().is_empty()).then(|| (number != "0", error.trim_end().to_owned()))
        })
    };
    let errors: Vec<(bool, String)> = said.lines().filter_map(error).collect();
    let (_, error) = errors.iter().rev().find(|(known, _)| *known).or(errors.last())?;
    Some(match error.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} ...", &error[..end]),
        None => error.clone(),
    })
}

pub(super) fn command(plan: &Plan, settings: &LocalSettings, workspace: &Path) -> Result<Command, String> {
    let Plan::Pig { script, params, args, properties: own, .. } = plan else {
        return Err("not a Pig plan".to_owned());
    };
    let pig = find::pig(settings).ok_or(find::PIG_MISSING)?;
    let java = find::java(settings).ok_or(find::JAVA_MISSING)?;
    let (params_file, own_file) = (workspace.join(".pig.params"), workspace.join(".pig.properties"));
    private(&params_file, param_file(params)?.as_bytes())?;
    private(&own_file, properties(own).as_bytes())?;
    let mut argv = vec![pig.display().to_string(), "-x".to_owned(), "local".to_owned()];
    for (option, path) in [("-param_file", &params_file), ("-propertyFile", &own_file)] {
        argv.extend([option.to_owned(), path.display().to_string()]);
    }
    argv.extend(["-f".to_owned(), script.display().to_string()]);
    // Behind the script: Pig ends its options at the first word that is none.
    argv.extend(args.iter().cloned());
    let mut env = BTreeMap::new();
    if let Some(home) = find::java_home(&java) {
        env.insert("JAVA_HOME".to_owned(), home.display().to_string());
    }
    Ok(Command { argv, env, litter: None, note: None })
}

/// A file of params as Pig's grammar of them wants it (`ParamLoader.jj`): quoted, since a value without quotes that begins with a
/// backtick is a command; a `$` escaped, since Pig replaces names in values too; and with Java's escapes for a backslash and for
/// what is not ASCII, which make it independent of the host's character set.
pub(super) fn param_file(params: &BTreeMap<String, String>) -> Result<String, String> {
    let mut text = String::new();
    for (name, value) in params {
        let bare = name.trim_start_matches('_');
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if !bare.starts_with(|letter: char| letter.is_ascii_alphabetic()) || !bare.chars().all(is_word) {
            return Err(format!(
                "params: '{name}' cannot be a name in Pig: letters, digits and _ only, and a letter before the first digit"
            ));
        }
        if value.ends_with('\\') {
            return Err(format!("params: the value of '{name}' ends with a backslash, which Pig cannot read"));
        }
        let _ = write!(text, "{name} = '");
        for letter in value.chars() {
            match letter {
                '\'' | '$' => {
                    text.push('\\');
                    text.push(letter);
                }
                '\\' => text.push_str("\\u005c"),
                letter if letter.is_ascii() => text.push(letter),
                letter => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        let _ = write!(text, "\\u{unit:04x}");
                    }
                }
            }
        }
        text.push_str("'\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, value: &str) -> Result<String, String> {
        param_file(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn the_reason_is_the_last_error_with_a_number() {
        let said = "2026-11-24 10:00:00,001 [main] INFO  org.apache.pig.Main - Logging error messages to: /tmp/pig_1.log\n\
            2026-11-24 10:00:02,001 [main] ERROR org.apache.pig.tools.pigstats.PigStats - ERROR 2118: Input path does not exist: file:/no\n\
            2026-11-24 10:00:02,002 [main] ERROR org.apache.pig.tools.pigstats.mapreduce.MRPigStatsUtil - 1 map reduce job(s) failed!\n\
            2026-11-24 10:00:02,003 [main] ERROR org.apache.pig.tools.grunt.Grunt - ERROR 1066: Unable to open iterator for alias a\n\
            Details at logfile: /tmp/pig_1.log\n2026-11-24 10:00:03,000 [main] ERROR x.Y - ERROR 0: null\n";
        assert_eq!(numbered(said).as_deref(), Some("ERROR 1066: Unable to open iterator for alias a"));
        assert_eq!(numbered("x - ERROR 0: of a user's function\n").as_deref(), Some("ERROR 0: of a user's function"));
        for none in ["", "ERROR: no number\n", "ERROR 12 without a colon\n", "ERROR 1066: \n"] {
            assert_eq!(numbered(none), None, "{none}");
        }
    }

    #[test]
    fn params_in_the_words_of_pig() {
        for (value, wanted) in [
            ("a b", "X = 'a b'\n"),
            ("`date`", "X = '`date`'\n"),
            ("it's # $Y", "X = 'it\\'s # \\$Y'\n"),
            ("C:\\users", "X = 'C:\\u005cusers'\n"),
            ("ü😀", "X = '\\u00fc\\ud83d\\ude00'\n"),
            ("", "X = ''\n"),
        ] {
            assert_eq!(file("X", value).as_deref(), Ok(wanted));
        }
        for (name, value, why) in
            [("1x", "a", "'1x'"), ("a.b", "a", "'a.b'"), ("", "a", "''"), ("X", "a\\", "backslash")]
        {
            let refused = file(name, value).expect_err("refused");
            assert!(refused.contains(why), "{refused}");
        }
    }
}
