-- Application credentials of users: a secret for a program, with some of the user's roles on one project. role_ids is a JSON list.
CREATE TABLE iam_application_credential (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    secret_hash TEXT COLLATE "C" NOT NULL,
    role_ids TEXT COLLATE "C" NOT NULL,
    unrestricted BIGINT NOT NULL,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (user_id, name)
);
