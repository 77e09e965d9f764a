//! `foggara credential`: access keys of the embedded identity, for clients that sign their requests.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Where, work::Request};
use crate::cmd::{
    Exit,
    output::{OutputArgs, members_of_each, members_table},
};

/// Flags of `credential`.
#[derive(Args, Debug)]
pub struct CredentialArgs {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    action: CredentialAction,
}

#[derive(Subcommand, Debug)]
enum CredentialAction {
    /// Make an access key; its secret is printed now and never again
    Create {
        /// Whose it is, by name or id; admin when nothing is given
        #[arg(long)]
        user: Option<String>,
        /// Project of requests that name none, by name or id; the user's default one when nothing is given
        #[arg(long)]
        project: Option<String>,
        /// Free text
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List access keys, without their secrets
    List,
    /// Delete an access key; what it signs is refused from then on
    Delete {
        /// The access key
        access: String,
    },
}

/// `foggara credential`
pub async fn credential(args: CredentialArgs) -> Result<Exit> {
    if args.output.quiet && matches!(args.action, CredentialAction::Create { .. }) {
        bail!("--quiet would hide the secret, which is shown only once: leave it out");
    }
    let request = match args.action {
        CredentialAction::Create { user, project, description } => Request::AddAccessKey { user, project, description },
        CredentialAction::List => Request::AccessKeys,
        CredentialAction::Delete { access } => Request::RemoveAccessKey(access),
    };
    let mut answer = args.place.perform(request).await?;
    if let (true, Value::Array(keys)) = (args.output.quiet, &answer) {
        // What names a key is its public half.
        answer = keys.iter().map(|key| json!({"id": key["access"]})).collect();
    }
    match &answer {
        Value::Null => {}
        Value::Array(_) => args
            .output
            .show(&answer, |list| members_of_each(list, &["access", "user", "project", "description", "created_at"]))?,
        key => args.output.show(key, members_table)?,
    }
    Ok(Exit::Done)
}
