CREATE TABLE node_group_template (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    plugin TEXT NOT NULL,
    version TEXT NOT NULL,
    settings TEXT NOT NULL,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);

CREATE TABLE cluster_template (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    plugin TEXT NOT NULL,
    version TEXT NOT NULL,
    settings TEXT NOT NULL,
    is_public BIGINT,
    is_protected BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (project_id, name)
);

-- Of a cluster or of a cluster template: owner_id is the id of either.
CREATE TABLE node_group (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    count BIGINT NOT NULL,
    template_id TEXT REFERENCES node_group_template (id),
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (owner_id, name)
);
CREATE INDEX node_group_of_template ON node_group (template_id) WHERE template_id IS NOT NULL;

-- Nodes of clusters. address is JSON once it is known; leaving = 1 when the node is to go.
CREATE TABLE instance (
    id TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES cluster (id) ON DELETE CASCADE,
    group_id TEXT NOT NULL,
    name TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    address TEXT,
    leaving BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (cluster_id, name)
);

CREATE TABLE provision_step (
    id TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES cluster (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    total BIGINT NOT NULL,
    successful BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT
);
CREATE INDEX provision_step_of ON provision_step (cluster_id, created_at, id);

CREATE TABLE provision_event (
    id TEXT PRIMARY KEY,
    step_id TEXT NOT NULL REFERENCES provision_step (id) ON DELETE CASCADE,
    group_id TEXT,
    instance_id TEXT,
    instance_name TEXT,
    info TEXT,
    successful BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX provision_event_of ON provision_event (step_id, created_at, id);

-- The last look at a cluster's health; checks is JSON.
CREATE TABLE verification (
    cluster_id TEXT PRIMARY KEY REFERENCES cluster (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    checks TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT
);

-- Registered images of a project; tags is a JSON list.
CREATE TABLE image (
    project_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    username TEXT,
    description TEXT,
    tags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    PRIMARY KEY (project_id, id)
);

-- Labels of plugins that a project changed; version is empty for the plugin itself.
CREATE TABLE plugin_label (
    project_id TEXT NOT NULL,
    plugin TEXT NOT NULL,
    version TEXT NOT NULL,
    label TEXT NOT NULL,
    status BIGINT NOT NULL,
    PRIMARY KEY (project_id, plugin, version, label)
);

-- Trusts that outside users gave for executions; each goes back when its execution has ended, or never came to be.
CREATE TABLE trust (
    id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX trust_of ON trust (execution_id);
