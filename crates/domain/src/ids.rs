//! Typed ids. On the wire and in the database they are opaque strings: a malformed uuid is simply not found
//! (spec sahara-v1.1.md section 1.1).

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A new random (version 4) id with dashes.
            #[allow(clippy::new_without_default, reason = "each call gives another id")]
            pub fn new() -> Self {
                Self(Uuid::new_v4().to_string())
            }

            /// The text as it stands on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A job execution: one run of a job template on a cluster.
    ExecutionId
);
id!(
    /// A job template (`job` in Sahara v1.1).
    JobId
);
id!(
    /// A job binary: a name for a url.
    BinaryId
);
id!(
    /// Bytes uploaded into the internal database.
    InternalBinaryId
);
id!(
    /// A data source.
    DataSourceId
);
id!(
    /// A cluster.
    ClusterId
);
id!(
    /// A cluster template.
    ClusterTemplateId
);
id!(
    /// A node group template.
    NodeGroupTemplateId
);
id!(
    /// A node group of a cluster or of a cluster template.
    NodeGroupId
);
id!(
    /// A node of a cluster.
    InstanceId
);
id!(
    /// A user of the identity service.
    UserId
);

/// A project (tenant). Keystone writes it as 32 hexadecimal digits without dashes; it is compared as plain text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectId(String);

impl ProjectId {
    /// The project that owns the public clusters of the program itself: 32 zeros (decision 15).
    pub fn system() -> Self {
        Self("0".repeat(32))
    }

    /// A new random id in Keystone's form.
    pub fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    /// The text as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ProjectId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for ProjectId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name under which an engine knows one attempt of one execution: `fg-<installation>-<execution id>-<attempt>`.
///
/// It is written before the launch, so that a job can be found whatever was lost afterwards (lifecycle.md, "Launch
/// without doubles"). It is safe as a file name, a Kubernetes name and a YARN tag (ASCII, lower case, below 64).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(String);

impl Tag {
    /// The tag of an attempt. `installation` is the installation's prefix, see [`Tag::prefix`].
    pub fn of(installation: &str, execution: &ExecutionId, attempt: u32) -> Self {
        Self(format!("{}{execution}-{attempt}", Self::prefix(installation)))
    }

    /// What every tag of an installation begins with; the sweep lists by it.
    pub fn prefix(installation: &str) -> String {
        format!("fg-{installation}-")
    }

    /// The execution and the attempt that a tag of this installation names; nothing when it is not one of ours.
    pub fn parse(&self, installation: &str) -> Option<(ExecutionId, u32)> {
        let rest = self.0.strip_prefix(&Self::prefix(installation))?;
        let (id, attempt) = rest.rsplit_once('-')?;
        Some((ExecutionId::from(id), attempt.parse().ok()?))
    }

    /// The tag of a node of a managed cluster. It does not begin as those of executions do: their sweep must not see it.
    pub fn of_node(installation: &str, instance: &InstanceId, attempt: u32) -> Self {
        Self(format!("{}{instance}-{attempt}", Self::prefix_of_nodes(installation)))
    }

    /// What every tag of a node begins with.
    pub fn prefix_of_nodes(installation: &str) -> String {
        format!("fgn-{installation}-")
    }

    /// The node and the attempt that a tag of this installation names; nothing when it is not one of ours.
    pub fn parse_node(&self, installation: &str) -> Option<(InstanceId, u32)> {
        let rest = self.0.strip_prefix(&Self::prefix_of_nodes(installation))?;
        let (id, attempt) = rest.rsplit_once('-')?;
        Some((InstanceId::from(id), attempt.parse().ok()?))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Tag {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
