CREATE TABLE node_group_template (
    id TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    plugin TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    settings TEXT COLLATE "C" NOT NULL,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);

CREATE TABLE cluster_template (
    id TEXT COLLATE "C" PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    plugin TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    settings TEXT COLLATE "C" NOT NULL,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);

-- Of a cluster or of a cluster template: owner_id is the id of either.
CREATE TABLE node_group (
    id TEXT COLLATE "C" PRIMARY KEY,
    owner_id TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    template_id TEXT COLLATE "C" REFERENCES node_group_template (id),
    settings TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (owner_id, name)
);
CREATE INDEX node_group_of_template ON node_group (template_id) WHERE template_id IS NOT NULL;

-- Nodes of clusters. address is JSON once it is known; leaving = 1 when the node is to go.
CREATE TABLE instance (
    id TEXT COLLATE "C" PRIMARY KEY,
    cluster_id TEXT COLLATE "C" NOT NULL REFERENCES cluster (id) ON DELETE CASCADE,
    group_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    address TEXT COLLATE "C",
    leaving BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (cluster_id, name)
);

CREATE TABLE provision_step (
    id TEXT COLLATE "C" PRIMARY KEY,
    cluster_id TEXT COLLATE "C" NOT NULL REFERENCES cluster (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    total BIGINT NOT NULL,
    successful BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT
);
CREATE INDEX provision_step_of ON provision_step (cluster_id, created_at, id);

CREATE TABLE provision_event (
    id TEXT COLLATE "C" PRIMARY KEY,
    step_id TEXT COLLATE "C" NOT NULL REFERENCES provision_step (id) ON DELETE CASCADE,
    group_id TEXT COLLATE "C",
    instance_id TEXT COLLATE "C",
    instance_name TEXT COLLATE "C",
    info TEXT COLLATE "C",
    successful BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX provision_event_of ON provision_event (step_id, created_at, id);

-- The last look at a cluster's health; checks is JSON.
CREATE TABLE verification (
    cluster_id TEXT COLLATE "C" PRIMARY KEY REFERENCES cluster (id) ON DELETE CASCADE,
    id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    checks TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT
);

-- Registered images of a project; tags is a JSON list.
CREATE TABLE image (
    project_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    username TEXT COLLATE "C",
    description TEXT COLLATE "C",
    tags TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    PRIMARY KEY (project_id, id)
);

-- Labels of plugins that a project changed; version is empty for the plugin itself.
CREATE TABLE plugin_label (
    project_id TEXT COLLATE "C" NOT NULL,
    plugin TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    label TEXT COLLATE "C" NOT NULL,
    status BIGINT NOT NULL,
    PRIMARY KEY (project_id, plugin, version, label)
);

-- Trusts that outside users gave for executions; each goes back when its execution has ended, or never came to be.
CREATE TABLE trust (
    id TEXT COLLATE "C" PRIMARY KEY,
    execution_id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX trust_of ON trust (execution_id);
