-- Application credentials of users: a secret for a program, with some of the user's roles on one project. role_ids is a JSON list.
CREATE TABLE iam_application_credential (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    secret_hash TEXT NOT NULL,
    role_ids TEXT NOT NULL,
    unrestricted BIGINT NOT NULL,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (user_id, name)
);
