//! What stands inside of a token: MessagePack in Keystone's layouts, a version first.
//!
//! | version | scope | members after the version |
//! | --- | --- | --- |
//! | 0 | none | user, methods, expiry, audit ids, generation, issue |
//! | 1 | domain | user, methods, domain, expiry, audit ids, generation, issue |
//! | 2 | project | user, methods, project, expiry, audit ids, generation, issue |
//! | 8 | system | user, methods, expiry, audit ids, generation, issue |
//! | 9 | project | user, methods, project, expiry, audit ids, generation, issue, application credential |
//!
//! Ids are pairs of a mark and bytes: 32 hexadecimal digits are packed into 16 bytes (true), other text stays as it is
//! (false). Methods are a bit set, expiry and issue are seconds since 1970. Generation and issue are ours: the first ends
//! all tokens of a user at once, the second spares a look into the Fernet frame.

use rmp::{decode, encode};

/// The login by password, as a bit of the method set.
const PASSWORD: u32 = 2;
/// The exchange of a token for another.
const TOKEN: u32 = 4;
/// The login by application credential.
const APPLICATION: u32 = 8;
/// No token of ours is longer; it keeps a forged length from being believed before anything else is read.
const AUDIT_BYTES: usize = 16;

/// How the user proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods(u32);

impl Methods {
    /// A login by password.
    pub const BY_PASSWORD: Self = Self(PASSWORD);

    /// A login by application credential.
    pub const BY_APPLICATION: Self = Self(APPLICATION);

    /// The same with an exchange of tokens on top.
    #[must_use]
    pub fn and_token(self) -> Self {
        Self(self.0 | TOKEN)
    }

    /// All of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The words of the wire, `token` first as Keystone writes them.
    pub fn names(self) -> Vec<String> {
        let words = [(TOKEN, "token"), (PASSWORD, "password"), (APPLICATION, "application_credential")];
        words.iter().filter(|(bit, _)| self.0 & bit != 0).map(|&(_, word)| word.to_owned()).collect()
    }
}

/// What a token is for, by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeId {
    /// Nothing but the user.
    Unscoped,
    /// A domain.
    Domain(String),
    /// A project.
    Project(String),
    /// The installation itself.
    System,
}

/// A random number that names a token in records, and cannot be turned back into the token.
pub type AuditId = [u8; AUDIT_BYTES];

/// The content of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The user's id.
    pub user: String,
    /// How it proved itself.
    pub methods: Methods,
    /// What the token is for.
    pub scope: ScopeId,
    /// End, seconds since 1970.
    pub expires_at: u64,
    /// This token, and the first of its chain when it came out of another.
    pub audit_ids: Vec<AuditId>,
    /// The user's generation at the time of making.
    pub generation: i64,
    /// When it was made, seconds since 1970.
    pub issued_at: u64,
    /// The application credential that it was made by; only with a project.
    pub credential: Option<String>,
}

/// The bytes are not a payload of ours.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

impl<E> From<decode::ValueReadError<E>> for Malformed
where
    E: decode::RmpReadErr,
{
    fn from(_: decode::ValueReadError<E>) -> Self {
        Self
    }
}

impl<E> From<decode::NumValueReadError<E>> for Malformed
where
    E: decode::RmpReadErr,
{
    fn from(_: decode::NumValueReadError<E>) -> Self {
        Self
    }
}

impl Payload {
    /// As bytes.
    pub fn pack(&self) -> Vec<u8> {
        let mut out = encode::ByteBuf::new();
        // Writing into memory cannot fail; the results say so in their type.
        let (version, scope) = match &self.scope {
            ScopeId::Unscoped => (0, None),
            ScopeId::Domain(id) => (1, Some(id)),
            ScopeId::Project(id) if self.credential.is_some() => (9, Some(id)),
            ScopeId::Project(id) => (2, Some(id)),
            ScopeId::System => (8, None),
        };
        let members = 7 + u32::from(scope.is_some()) + u32::from(version == 9);
        let _ = encode::write_array_len(&mut out, members);
        let _ = encode::write_uint(&mut out, version);
        pack_id(&mut out, &self.user);
        let _ = encode::write_uint(&mut out, u64::from(self.methods.0));
        if let Some(id) = scope {
            pack_id(&mut out, id);
        }
        // Keystone keeps a floating number here; whole seconds below 2^53 are exact in it.
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
        let _ = encode::write_f64(&mut out, self.expires_at as f64);
        let _ = encode::write_array_len(&mut out, u32::try_from(self.audit_ids.len()).unwrap_or(0));
        for id in &self.audit_ids {
            let _ = encode::write_bin(&mut out, id);
        }
        let _ = encode::write_sint(&mut out, self.generation);
        let _ = encode::write_uint(&mut out, self.issued_at);
        if let (9, Some(credential)) = (version, &self.credential) {
            pack_id(&mut out, credential);
        }
        out.into_vec()
    }

    /// From bytes.
    ///
    /// # Errors
    /// Whatever is not exactly what [`Payload::pack`] writes.
    pub fn unpack(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = bytes;
        let members = decode::read_array_len(&mut from)?;
        let version: u8 = decode::read_int(&mut from)?;
        let user = unpack_id(&mut from)?;
        let methods = Methods(decode::read_int(&mut from)?);
        let scope = match (version, members) {
            (0, 7) => ScopeId::Unscoped,
            (1, 8) => ScopeId::Domain(unpack_id(&mut from)?),
            (2, 8) | (9, 9) => ScopeId::Project(unpack_id(&mut from)?),
            (8, 7) => ScopeId::System,
            _ => return Err(Malformed),
        };
        let expires_at = whole_seconds(decode::read_f64(&mut from)?)?;
        let audit_ids = unpack_audit_ids(&mut from)?;
        let generation = decode::read_int(&mut from)?;
        let issued_at = decode::read_int(&mut from)?;
        let credential = if version == 9 { Some(unpack_id(&mut from)?) } else { None };
        if !from.is_empty() || methods.0 & !(PASSWORD | TOKEN | APPLICATION) != 0 {
            return Err(Malformed);
        }
        Ok(Self { user, methods, scope, expires_at, audit_ids, generation, issued_at, credential })
    }
}

fn whole_seconds(number: f64) -> Result<u64, Malformed> {
    if !(0.0..9_007_199_254_740_992.0).contains(&number) || number.fract() != 0.0 {
        return Err(Malformed);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok(number as u64)
}

fn unpack_audit_ids(from: &mut &[u8]) -> Result<Vec<AuditId>, Malformed> {
    let count = decode::read_array_len(from)?;
    if !(1..=2).contains(&count) {
        return Err(Malformed);
    }
    (0..count).map(|_| unpack_bytes(from)?.try_into().map_err(|_| Malformed)).collect()
}

fn pack_id(out: &mut encode::ByteBuf, id: &str) {
    let packed = packed_hex(id);
    let _ = encode::write_array_len(out, 2);
    let _ = encode::write_bool(out, packed.is_some());
    let _ = encode::write_bin(out, packed.as_ref().map_or(id.as_bytes(), <[u8; 16]>::as_slice));
}

fn unpack_id(from: &mut &[u8]) -> Result<String, Malformed> {
    if decode::read_array_len(from)? != 2 {
        return Err(Malformed);
    }
    let packed = decode::read_bool(from)?;
    let bytes = unpack_bytes(from)?;
    if packed {
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| Malformed)?;
        return Ok(uuid::Uuid::from_bytes(bytes).simple().to_string());
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
}

/// 32 lower-case hexadecimal digits as 16 bytes; nothing for other text, which would not come back the same.
fn packed_hex(id: &str) -> Option<[u8; 16]> {
    let packed = *uuid::Uuid::try_parse(id).ok()?.as_bytes();
    (uuid::Uuid::from_bytes(packed).simple().to_string() == id).then_some(packed)
}

fn unpack_bytes<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(decode::read_bin_len(from)?).map_err(|_| Malformed)?;
    let (bytes, rest) = from.split_at_checked(length).ok_or(Malformed)?;
    *from = rest;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids() -> impl Strategy<Value = String> {
        prop_oneof!["[0-9a-f]{32}", "[0-9A-F]{32}", "default", ".{0,40}", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"]
    }

    fn payloads() -> impl Strategy<Value = Payload> {
        let project = (ids(), prop::option::of(ids())).prop_map(|(id, credential)| (ScopeId::Project(id), credential));
        let scope = prop_oneof![
            Just((ScopeId::Unscoped, None)),
            Just((ScopeId::System, None)),
            ids().prop_map(|id| (ScopeId::Domain(id), None)),
            project,
        ];
        let methods =
            prop_oneof![Just(Methods(PASSWORD)), Just(Methods(PASSWORD | TOKEN)), Just(Methods(TOKEN | APPLICATION))];
        let audit_ids = prop::collection::vec(any::<AuditId>(), 1..=2);
        (ids(), methods, scope, 0..(1_u64 << 53), audit_ids, any::<i64>(), any::<u64>()).prop_map(
            |(user, methods, (scope, credential), expires_at, audit_ids, generation, issued_at)| Payload {
                user,
                methods,
                scope,
                expires_at,
                audit_ids,
                generation,
                issued_at,
                credential,
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(payload in payloads()) {
            prop_assert_eq!(Payload::unpack(&payload.pack()), Ok(payload));
        }

        #[test]
        fn a_cut_or_longer_payload_is_refused(payload in payloads(), cut in any::<prop::sample::Index>(), more in any::<u8>()) {
            let mut bytes = payload.pack();
            prop_assert!(Payload::unpack(&bytes[..cut.index(bytes.len())]).is_err());
            bytes.push(more);
            prop_assert!(Payload::unpack(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Payload::unpack(&bytes);
        }
    }

    #[test]
    fn a_project_token_stays_short() {
        let payload = Payload {
            user: "0123456789abcdef0123456789abcdef".into(),
            methods: Methods::BY_PASSWORD,
            scope: ScopeId::Project("fedcba9876543210fedcba9876543210".into()),
            expires_at: 1_700_000_000,
            audit_ids: vec![[7; 16]],
            generation: 1,
            issued_at: 1_699_996_400,
            credential: None,
        };
        assert!(payload.pack().len() < 96, "{}", payload.pack().len());
    }
}
