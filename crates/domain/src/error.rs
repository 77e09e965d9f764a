//! What can go wrong, in words of the domain. Which HTTP status and body that becomes is decided in `api`.

use thiserror::Error;

/// Result of a rule or an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was not done.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum Error {
    /// The object that the path names does not exist, or is not visible to the caller. `key` is the name that the original
    /// prints: `id`, `job_type`, `plugin_name`, `version`.
    #[error("Object with {{'{key}': '{value}'}} not found")]
    NotFound {
        /// Look-up key.
        key: &'static str,
        /// What was looked up.
        value: String,
    },
    /// A rule refuses the request.
    #[error("{message}")]
    Refused {
        /// Sahara's name of the rule.
        code: Code,
        /// What is wrong, where, and what to do.
        message: String,
    },
    /// `limit` or `sort_by` is wrong (Sahara gives these an error name of their own kind).
    #[error("{0}")]
    BadParameter(String),
    /// The caller's roles do not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// A cap is reached; the same request may succeed later.
    #[error("{message}")]
    TooMany {
        /// Which cap, and its value.
        message: String,
        /// When to ask again.
        retry_after_seconds: u64,
    },
    /// Something that the answer needs cannot be had at the moment (database, identity service).
    #[error("{message}")]
    Unavailable {
        /// What, for the caller.
        message: String,
        /// The write may or may not have been stored: the connection was lost at commit.
        outcome_unknown: bool,
    },
    /// A defect of ours. The text is for the log and is never shown to a caller.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// A refusal.
    pub fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    /// The object with this id does not exist.
    pub fn no_such_id(id: impl ToString) -> Self {
        Self::NotFound { key: "id", value: id.to_string() }
    }

    /// A passing lack of something.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), outcome_unknown: false }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Sahara's names of refusals (sahara-v1.1.md section 1.5).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

codes! {
    /// The body breaks its schema.
    ValidationError = "VALIDATION_ERROR",
    /// The body is not JSON.
    MalformedRequestBody = "MALFORMED_REQUEST_BODY",
    /// A query parameter is unknown or wrong.
    InvalidParamsOnRequest = "INVALID_PARAMS_ON_REQUEST",
    /// A referenced object does not exist (in a body; a path gives [`Error::NotFound`]).
    NotFound = "NOT_FOUND",
    /// The name is taken.
    NameAlreadyExists = "NAME_ALREADY_EXISTS",
    /// The name is taken (the original's database says so).
    DbDuplicateEntry = "DB_DUPLICATE_ENTRY",
    /// Credentials of a data source are missing.
    InvalidCredentials = "INVALID_CREDENTIALS",
    /// A reference cannot be used.
    InvalidReference = "INVALID_REFERENCE",
    /// A value is wrong.
    InvalidData = "INVALID_DATA",
    /// A job binary cannot be used.
    BadJobBinary = "BAD_JOB_BINARY",
    /// Something is larger than allowed.
    DataTooBig = "DATA_TOO_BIG",
    /// The object cannot be deleted.
    DeletionFailed = "DELETION_FAILED",
    /// The object cannot be changed.
    UpdateFailed = "UPDATE_FAILED",
    /// The execution cannot be cancelled.
    CancelingFailed = "CANCELING_FAILED",
    /// The execution cannot be suspended.
    SuspendingFailed = "SUSPENDING_FAILED",
    /// The wanted status does not exist or does not fit.
    InvalidJobStatus = "INVALID_JOB_STATUS",
    /// Reading from Swift failed.
    SwiftClientException = "SWIFT_CLIENT_EXCEPTION",
    /// Reading from S3 failed.
    S3ClientException = "S3_CLIENT_EXCEPTION",
    /// A job binary's url cannot be read (file and http; the original has no such stores).
    StoreError = "STORE_ERROR",
    /// Idempotency key with another body.
    IdempotencyConflict = "IDEMPOTENCY_CONFLICT",
    /// The image is not registered.
    ImageNotRegistered = "IMAGE_NOT_REGISTERED",
    /// The cluster cannot be verified at present.
    CannotVerify = "CANNOT_VERIFY",
    /// A quota is used up.
    QuotaError = "QUOTA_ERROR",
}
