-- Three kinds of columns, the same in both databases: TEXT, BIGINT (also flags 0 and 1, and times in microseconds), BLOB.
-- A flag is null where a client sent null; that counts as 0.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- host: whose processes its nodes are. revision: counts the changes after which its engine is made anew.
CREATE TABLE cluster (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    plugin TEXT NOT NULL,
    version TEXT NOT NULL,
    status TEXT NOT NULL,
    status_description TEXT NOT NULL,
    settings TEXT NOT NULL,
    template_id TEXT,
    keypair TEXT,
    is_transient BIGINT NOT NULL,
    info TEXT NOT NULL,
    is_public BIGINT,
    is_protected BIGINT,
    host TEXT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);
CREATE INDEX cluster_of_template ON cluster (template_id) WHERE template_id IS NOT NULL;

CREATE TABLE data_source (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    credentials BLOB,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);

CREATE TABLE job_binary (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    url TEXT NOT NULL,
    extra BLOB,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);

-- ready = 0 while the bytes are coming in; such a row shows nowhere and does not hold its name.
CREATE TABLE internal_binary (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    ready BIGINT NOT NULL
);
CREATE UNIQUE INDEX internal_binary_name ON internal_binary (project_id, name) WHERE ready = 1;

CREATE TABLE internal_binary_chunk (
    binary_id TEXT NOT NULL REFERENCES internal_binary (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (binary_id, number)
);

CREATE TABLE job_template (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    job_type TEXT NOT NULL,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);

-- role: 'main' or 'lib'.
CREATE TABLE job_template_binary (
    template_id TEXT NOT NULL REFERENCES job_template (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    position BIGINT NOT NULL,
    binary_id TEXT NOT NULL REFERENCES job_binary (id),
    PRIMARY KEY (template_id, role, position)
);
CREATE INDEX job_template_binary_of ON job_template_binary (binary_id);

CREATE TABLE interface_argument (
    id TEXT PRIMARY KEY,
    template_id TEXT NOT NULL REFERENCES job_template (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    mapping_type TEXT NOT NULL,
    location TEXT NOT NULL,
    value_type TEXT NOT NULL,
    required BIGINT NOT NULL,
    default_value TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX interface_argument_of ON interface_argument (template_id);

-- A deleted execution is the same row with deleted_at set: the tombstone. Only its owner reads it.
CREATE TABLE execution (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    job_id TEXT REFERENCES job_template (id),
    job_type TEXT NOT NULL,
    job_name TEXT NOT NULL,
    cluster_id TEXT NOT NULL,
    input_id TEXT REFERENCES data_source (id),
    output_id TEXT REFERENCES data_source (id),
    job_configs TEXT NOT NULL,
    secret_configs BLOB,
    data_source_urls TEXT,
    is_public BIGINT NOT NULL,
    is_protected BIGINT NOT NULL,
    wish TEXT NOT NULL,
    suspend_wanted BIGINT NOT NULL,
    phase TEXT NOT NULL,
    status TEXT NOT NULL,
    engine_state TEXT,
    duty TEXT NOT NULL,
    place TEXT,
    attempt BIGINT NOT NULL,
    tag TEXT,
    engine_ref TEXT,
    incarnation TEXT,
    launch_sent_at BIGINT,
    stop_sent_at BIGINT,
    gone_at BIGINT,
    gone_evidence TEXT,
    outcome TEXT,
    reason TEXT,
    return_code TEXT,
    usage TEXT,
    deadline BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    staged_at BIGINT,
    start_time BIGINT,
    running_at BIGINT,
    end_time BIGINT,
    deleted_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX execution_of_project ON execution (project_id, id) WHERE deleted_at IS NULL;
CREATE INDEX execution_of_job ON execution (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX execution_of_input ON execution (input_id) WHERE input_id IS NOT NULL;
CREATE INDEX execution_of_output ON execution (output_id) WHERE output_id IS NOT NULL;
CREATE INDEX execution_busy ON execution (cluster_id, created_at, id)
    WHERE phase <> 'waiting' AND (phase <> 'ended' OR duty <> 'none');
CREATE INDEX execution_waiting ON execution (cluster_id, created_at, id) WHERE phase = 'waiting';
CREATE INDEX execution_tombstone ON execution (cluster_id, gone_at) WHERE deleted_at IS NOT NULL;

CREATE VIEW live_execution AS SELECT * FROM execution WHERE deleted_at IS NULL;
-- What sahara_strict shows: deleted rows stay, as TOBEKILLED, until their job is gone.
CREATE VIEW strict_execution AS SELECT * FROM execution WHERE deleted_at IS NULL OR duty <> 'none';

CREATE TABLE event (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    text TEXT,
    UNIQUE (execution_id, sequence)
);

-- renewals counts up while the server lives.
CREATE TABLE server (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    renewals BIGINT NOT NULL
);

CREATE TABLE ownership (
    cluster_id TEXT NOT NULL,
    place TEXT NOT NULL,
    server_id TEXT,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (cluster_id, place)
);

CREATE TABLE idempotency (
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    made TEXT,
    status BIGINT,
    answer TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, user_id, method, path, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
