//! Scripts of Pig by its own client, `pig -x local`. Params and settings go into files of mode 0600: no value ever stands on the
//! command line. Libraries lie in the working directory, where `REGISTER name.jar` finds them.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use foggara_domain::plan::Plan;

use super::{
    LocalSettings,
    command::{Command, private},
    find,
    spark::properties,
};

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
fn param_file(params: &BTreeMap<String, String>) -> Result<String, String> {
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
