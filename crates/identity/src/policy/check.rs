//! What a rule of a policy file says: oslo.policy's simple grammar. `role:`, `user_id:`, `project_id:` (also `tenant_id:`),
//! `rule:`, `@` and the empty text for everybody, `!` for nobody, `and`, `or`, `not` and parentheses.

use std::collections::BTreeMap;

use foggara_domain::Caller;

/// A check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Everybody.
    All,
    /// Nobody.
    Nobody,
    /// Who holds a role; the case of its name does not count.
    Role(String),
    /// A user.
    User(Value),
    /// Whoever acts in a project.
    Project(Value),
    /// What another rule says.
    Rule(String),
    /// All of them.
    And(Vec<Self>),
    /// Any of them.
    Or(Vec<Self>),
    /// The opposite.
    Not(Box<Self>),
}

/// What an id is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// That of the request: a request is always for the project and by the user of its token, so this is always fulfilled.
    OfRequest,
}

/// Reads a check. The error says what is not understood.
pub fn parse(text: &str) -> Result<Check, String> {
    let mut words = words(text).into_iter().peekable();
    if words.peek().is_none() {
        return Ok(Check::All);
    }
    let check = any(&mut words)?;
    match words.next() {
        None => Ok(check),
        Some(word) => Err(format!("'{word}' stands where 'and', 'or' or the end is expected")),
    }
}

type Words = std::iter::Peekable<std::vec::IntoIter<String>>;

/// Words and parentheses.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for piece in text.split_whitespace() {
        let mut piece = piece;
        while let Some(rest) = piece.strip_prefix('(') {
            words.push("(".to_owned());
            piece = rest;
        }
        // `%(project_id)s` bears a parenthesis of its own.
        let mut closing = 0;
        while piece.ends_with(')') {
            closing += 1;
            piece = &piece[..piece.len() - 1];
        }
        if !piece.is_empty() {
            words.push(piece.to_owned());
        }
        words.extend((0..closing).map(|_| ")".to_owned()));
    }
    words
}

fn any(words: &mut Words) -> Result<Check, String> {
    let mut checks = vec![all(words)?];
    while words.next_if(|word| word.eq_ignore_ascii_case("or")).is_some() {
        checks.push(all(words)?);
    }
    Ok(if checks.len() == 1 { checks.remove(0) } else { Check::Or(checks) })
}

fn all(words: &mut Words) -> Result<Check, String> {
    let mut checks = vec![one(words)?];
    while words.next_if(|word| word.eq_ignore_ascii_case("and")).is_some() {
        checks.push(one(words)?);
    }
    Ok(if checks.len() == 1 { checks.remove(0) } else { Check::And(checks) })
}

fn one(words: &mut Words) -> Result<Check, String> {
    let word = words.next().ok_or("it ends where a check is expected")?;
    if word.eq_ignore_ascii_case("not") {
        return Ok(Check::Not(Box::new(one(words)?)));
    }
    if word == "(" {
        let inner = any(words)?;
        return match words.next().as_deref() {
            Some(")") => Ok(inner),
            _ => Err("a parenthesis is not closed".to_owned()),
        };
    }
    atom(&word)
}

fn atom(word: &str) -> Result<Check, String> {
    match word {
        "@" => return Ok(Check::All),
        "!" => return Ok(Check::Nobody),
        _ => {}
    }
    let (kind, value) = word.split_once(':').ok_or_else(|| format!("'{word}' is not a check"))?;
    if value.is_empty() {
        return Err(format!("'{word}' names nothing"));
    }
    let of_request = |names: &[&str]| match value.strip_prefix("%(").and_then(|rest| rest.strip_suffix(")s")) {
        None => Ok(Value::Text(value.to_owned())),
        Some(name) if names.contains(&name) => Ok(Value::OfRequest),
        Some(_) => Err(format!("'{value}' is not known; there is %({})s", names.join(")s, %("))),
    };
    match kind {
        "role" => Ok(Check::Role(value.to_owned())),
        "rule" => Ok(Check::Rule(value.to_owned())),
        "user_id" => of_request(&["user_id"]).map(Check::User),
        "project_id" | "tenant_id" => of_request(&["project_id", "tenant_id"]).map(Check::Project),
        _ => Err(format!("'{kind}:' is not known; there are role:, rule:, user_id:, project_id:, @ and !")),
    }
}

impl Check {
    /// Whether a caller fulfils it. `rules` are all rules of the file; what they refer to was looked at when it was read.
    pub fn allows(&self, caller: &Caller, rules: &BTreeMap<String, Self>) -> bool {
        match self {
            Self::All => true,
            Self::Nobody => false,
            Self::Role(role) => caller.roles.iter().any(|have| have.eq_ignore_ascii_case(role)),
            Self::User(value) => value.is(caller.user.as_str()),
            Self::Project(value) => value.is(caller.project.as_str()),
            Self::Rule(name) => rules.get(name).is_some_and(|check| check.allows(caller, rules)),
            Self::And(checks) => checks.iter().all(|check| check.allows(caller, rules)),
            Self::Or(checks) => checks.iter().any(|check| check.allows(caller, rules)),
            Self::Not(check) => !check.allows(caller, rules),
        }
    }

    /// The rules that it refers to.
    pub fn refers_to(&self) -> Vec<&str> {
        match self {
            Self::Rule(name) => vec![name],
            Self::And(checks) | Self::Or(checks) => checks.iter().flat_map(Self::refers_to).collect(),
            Self::Not(check) => check.refers_to(),
            _ => Vec::new(),
        }
    }
}

impl Value {
    fn is(&self, id: &str) -> bool {
        match self {
            Self::Text(text) => text == id,
            Self::OfRequest => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(roles: &[&str]) -> Caller {
        Caller {
            user: "u1".into(),
            user_name: "u".into(),
            project: "p1".into(),
            project_name: "p".into(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
        }
    }

    fn allows(text: &str, roles: &[&str]) -> bool {
        let rules = BTreeMap::from([("admin_required".to_owned(), parse("role:admin").expect("a check"))]);
        parse(text).expect(text).allows(&caller(roles), &rules)
    }

    #[test]
    fn what_the_grammar_says() {
        for (text, roles, yes) in [
            ("", &[][..], true),
            ("@", &[], true),
            ("!", &["admin"], false),
            ("role:admin", &["Admin"], true),
            ("role:admin or role:member", &["member"], true),
            ("role:admin and role:member", &["member"], false),
            ("not role:reader", &["reader"], false),
            ("not (role:reader or role:guest) and project_id:p1", &["member"], true),
            ("role:a or role:b and role:c", &["a"], true),
            ("(role:a or role:b) and role:c", &["a"], false),
            ("project_id:%(project_id)s", &[], true),
            ("(project_id:%(tenant_id)s)", &[], true),
            ("tenant_id:p2", &[], false),
            ("user_id:u1 and rule:admin_required", &["admin"], true),
        ] {
            assert_eq!(allows(text, roles), yes, "{text}");
        }
    }

    #[test]
    fn what_it_does_not_say_is_told() {
        for (text, why) in [
            ("admin", "'admin' is not a check"),
            ("role:", "'role:' names nothing"),
            ("role:a role:b", "'role:b' stands where"),
            ("(role:a", "a parenthesis is not closed"),
            ("role:a and", "it ends where a check is expected"),
            ("is_admin:1", "'is_admin:' is not known"),
            ("user_id:%(project_id)s", "is not known; there is %(user_id)s"),
            ("role:a)", "')' stands where"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
