-- Access keys (AK/SK) of users: a pair that signs requests. sealed is the secret under the installation's seal, since a signature
-- can only be checked with the secret itself.
CREATE TABLE iam_access_key (
    access TEXT COLLATE "C" PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX iam_access_key_by_user ON iam_access_key (user_id);
CREATE INDEX iam_access_key_by_project ON iam_access_key (project_id);
