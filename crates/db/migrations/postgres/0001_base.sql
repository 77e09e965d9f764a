-- Three kinds of columns, the same in both databases: TEXT (in the order of bytes), BIGINT (also flags 0 and 1, and times in microseconds), BYTEA.
-- A flag is null where a client sent null; that counts as 0.

CREATE TABLE meta (
    key TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

-- host: whose processes its nodes are. revision: counts the changes after which its engine is made anew.
CREATE TABLE cluster (
    id TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    plugin TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    status_description TEXT COLLATE "C" NOT NULL,
    settings TEXT COLLATE "C" NOT NULL,
    template_id TEXT COLLATE "C",
    keypair TEXT COLLATE "C",
    is_transient BIGINT NOT NULL,
    info TEXT COLLATE "C" NOT NULL,
    is_public BIGINT,
    is_protected BIGINT,
    host TEXT COLLATE "C",
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);
CREATE INDEX cluster_of_template ON cluster (template_id) WHERE template_id IS NOT NULL;

CREATE TABLE data_source (
    id TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    kind TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    credentials BYTEA,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);

CREATE TABLE job_binary (
    id TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    url TEXT COLLATE "C" NOT NULL,
    extra BYTEA,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);

-- ready = 0 while the bytes are coming in; such a row shows nowhere and does not hold its name.
CREATE TABLE internal_binary (
    id TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    ready BIGINT NOT NULL
);
CREATE UNIQUE INDEX internal_binary_name ON internal_binary (project_id, name) WHERE ready = 1;

CREATE TABLE internal_binary_chunk (
    binary_id TEXT COLLATE "C" NOT NULL REFERENCES internal_binary (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (binary_id, number)
);

CREATE TABLE job_template (
    id TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    job_type TEXT COLLATE "C" NOT NULL,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);

-- role: 'main' or 'lib'.
CREATE TABLE job_template_binary (
    template_id TEXT COLLATE "C" NOT NULL REFERENCES job_template (id) ON DELETE CASCADE,
    role TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    binary_id TEXT COLLATE "C" NOT NULL REFERENCES job_binary (id),
    PRIMARY KEY (template_id, role, position)
);
CREATE INDEX job_template_binary_of ON job_template_binary (binary_id);

CREATE TABLE interface_argument (
    id TEXT COLLATE "C" PRIMARY KEY,
    template_id TEXT COLLATE "C" NOT NULL REFERENCES job_template (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    mapping_type TEXT COLLATE "C" NOT NULL,
    location TEXT COLLATE "C" NOT NULL,
    value_type TEXT COLLATE "C" NOT NULL,
    required BIGINT NOT NULL,
    default_value TEXT COLLATE "C",
    created_at BIGINT NOT NULL
);
CREATE INDEX interface_argument_of ON interface_argument (template_id);

-- A deleted execution is the same row with deleted_at set: the tombstone. Only its owner reads it.
CREATE TABLE execution (
    id TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    job_id TEXT COLLATE "C" REFERENCES job_template (id),
    job_type TEXT COLLATE "C" NOT NULL,
    job_name TEXT COLLATE "C" NOT NULL,
    cluster_id TEXT COLLATE "C" NOT NULL,
    input_id TEXT COLLATE "C" REFERENCES data_source (id),
    output_id TEXT COLLATE "C" REFERENCES data_source (id),
    job_configs TEXT COLLATE "C" NOT NULL,
    secret_configs BYTEA,
    data_source_urls TEXT COLLATE "C",
    is_public BIGINT NOT NULL,
    is_protected BIGINT NOT NULL,
    wish TEXT COLLATE "C" NOT NULL,
    suspend_wanted BIGINT NOT NULL,
    phase TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    engine_state TEXT COLLATE "C",
    duty TEXT COLLATE "C" NOT NULL,
    place TEXT COLLATE "C",
    attempt BIGINT NOT NULL,
    tag TEXT COLLATE "C",
    engine_ref TEXT COLLATE "C",
    incarnation TEXT COLLATE "C",
    launch_sent_at BIGINT,
    stop_sent_at BIGINT,
    gone_at BIGINT,
    gone_evidence TEXT COLLATE "C",
    outcome TEXT COLLATE "C",
    reason TEXT COLLATE "C",
    return_code TEXT COLLATE "C",
    usage TEXT COLLATE "C",
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
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Public position, given after commit by the numberer: readers with a cursor miss nothing that commits late.
    position BIGINT UNIQUE,
    execution_id TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    text TEXT COLLATE "C",
    UNIQUE (execution_id, sequence)
);
-- Not the highest position in use plus one: the events of a removed execution go, and their positions must not come again.
CREATE SEQUENCE event_position;

-- renewals counts up while the server lives.
CREATE TABLE server (
    id TEXT COLLATE "C" PRIMARY KEY,
    host TEXT COLLATE "C" NOT NULL,
    renewals BIGINT NOT NULL
);

CREATE TABLE ownership (
    cluster_id TEXT COLLATE "C" NOT NULL,
    place TEXT COLLATE "C" NOT NULL,
    server_id TEXT COLLATE "C",
    epoch BIGINT NOT NULL,
    PRIMARY KEY (cluster_id, place)
);

CREATE TABLE idempotency (
    project_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    body_hash TEXT COLLATE "C" NOT NULL,
    made TEXT COLLATE "C",
    status BIGINT,
    answer TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, user_id, method, path, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
