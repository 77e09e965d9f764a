-- The embedded identity: domains, projects, users, roles, who holds which role where, the keys of tokens, and the tokens
-- that were revoked before their end.

CREATE TABLE iam_domain (
    id TEXT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    enabled BIGINT NOT NULL
);

CREATE TABLE iam_project (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL REFERENCES iam_domain (id),
    name TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (domain_id, name)
);

-- generation: a token bears the value of its making; one step more ends all tokens of the user.
CREATE TABLE iam_user (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL REFERENCES iam_domain (id),
    name TEXT COLLATE "C" NOT NULL,
    password_hash TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    default_project_id TEXT REFERENCES iam_project (id),
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE iam_role (
    id TEXT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE
);

-- target_kind is 'project' or 'domain', target_id the id of the one.
CREATE TABLE iam_assignment (
    user_id TEXT NOT NULL REFERENCES iam_user (id),
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    role_id TEXT NOT NULL REFERENCES iam_role (id),
    PRIMARY KEY (user_id, target_kind, target_id, role_id)
);

CREATE INDEX iam_assignment_by_target ON iam_assignment (target_kind, target_id);

-- state is 'staged', 'primary' or 'secondary'; sealed is the key under the installation's seal; valid_until is the time
-- at which a secondary key has no living token left.
CREATE TABLE iam_token_key (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    valid_until BIGINT
);

CREATE UNIQUE INDEX iam_token_key_one_of_state ON iam_token_key (state) WHERE state <> 'secondary';

-- expires_at: when the token would have ended; the row is of no use after it.
CREATE TABLE iam_revocation (
    audit_id TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX iam_revocation_by_end ON iam_revocation (expires_at);
