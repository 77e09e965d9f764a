//! Clusters, their templates, nodes, event log and health; images and labels.

use foggara_db::{
    cluster_templates, clusters, executions, images, instances, node_group_templates,
    plugin_labels::{self, PluginLabel},
    provision,
};
use foggara_domain::{
    ClusterId, ClusterTemplateId, Code, Error, InstanceId, NodeGroupId, NodeGroupTemplateId, ProjectId,
    cluster::{
        Cluster, ClusterSettings, ClusterStatus, ClusterTemplate, Health, HealthCheck, Instance, NodeAddress,
        ProvisionEvent, ProvisionStep, Verification,
    },
    flag::Flag,
    image::Image,
    node_group::{NodeGroup, NodeGroupTemplate, NodeSettings},
    status::Wish,
};
use serde_json::{Map, json};

use super::{
    fixture::{Fresh, NOW, execution, other_project, project, store},
    resources::write,
};
use crate::on_both;

on_both! {
    a_cluster_comes_back_whole_and_is_listed
    nothing_brings_a_deleting_cluster_back
    a_template_is_used_by_name_and_cannot_go
    a_template_gives_its_groups_back_in_order
    nodes_are_kept_by_name
    the_event_log_forgets_what_went_well
    the_last_look_at_health_replaces_the_one_before
    executions_of_a_cluster_are_found_while_they_owe
    images_and_labels_belong_to_a_project
}

fn group(name: &str, count: i64, template: Option<&NodeGroupTemplateId>) -> NodeGroup {
    let given = json!({"flavor_id": "2", "node_processes": ["slave"], "node_configs": {"spark": {"cores": 2}}});
    NodeGroup {
        id: NodeGroupId::new(),
        name: name.to_owned(),
        count,
        template: template.cloned(),
        settings: NodeSettings::default().with(given.as_object().expect("an object")),
        created_at: NOW,
        updated_at: None,
    }
}

pub fn cluster(name: &str) -> Cluster {
    Cluster {
        id: ClusterId::new(),
        project: project(),
        name: name.to_owned(),
        description: Some("text".to_owned()),
        plugin: "spark".to_owned(),
        version: "2.3".to_owned(),
        status: ClusterStatus::Validating,
        status_description: String::new(),
        settings: ClusterSettings { anti_affinity: vec!["slave".to_owned()], ..ClusterSettings::default() },
        template: None,
        keypair: Some("k".to_owned()),
        is_transient: true,
        info: Map::new(),
        is_public: Flag::On,
        is_protected: Flag::Null,
        host: None,
        revision: 1,
        created_at: NOW,
        updated_at: None,
        node_groups: vec![group("b", 1, None), group("a", 2, None)],
    }
}

async fn put(fresh: &Fresh, cluster: &Cluster) {
    let stored = write(&fresh.db, cluster.clone(), |conn, cluster| {
        Box::pin(async move { clusters::insert(conn, &cluster).await })
    });
    stored.await.expect("stored");
}

async fn a_cluster_comes_back_whole_and_is_listed(fresh: Fresh) {
    let cluster = cluster("c");
    put(&fresh, &cluster).await;
    let mut conn = fresh.db.read().await.expect("a reader");
    let found = clusters::get(&mut conn, &other_project(), &cluster.id).await.expect("an answer");
    assert_eq!(found.as_ref(), Some(&cluster), "it is public");
    assert_eq!(clusters::all(&mut conn).await.expect("an answer"), std::slice::from_ref(&cluster));
    assert_eq!(clusters::ids(&mut conn).await.expect("an answer"), std::slice::from_ref(&cluster.id));
    let page = clusters::list(&mut conn, &other_project(), &Default::default()).await.expect("a page");
    assert_eq!(page.items, std::slice::from_ref(&cluster));
    assert!(clusters::has_name(&mut conn, &other_project(), "c").await.expect("an answer"));
    let twin = Cluster { id: ClusterId::new(), node_groups: Vec::new(), ..cluster.clone() };
    let taken = write(&fresh.db, twin, |conn, twin| Box::pin(async move { clusters::insert(conn, &twin).await })).await;
    assert!(matches!(taken, Err(Error::Refused { code: Code::DbDuplicateEntry, .. })), "{taken:?}");
    let bound = |host: &'static str| {
        let id = cluster.id.clone();
        fresh.db.write(move |conn| {
            let id = id.clone();
            Box::pin(async move { clusters::bind_to_host(conn, &id, host).await })
        })
    };
    assert!(bound("one").await.expect("an answer"));
    assert!(!bound("two").await.expect("an answer"), "it is bound already");
    let found = clusters::find(&mut conn, &cluster.id).await.expect("an answer").expect("a cluster");
    assert_eq!(found.host.as_deref(), Some("one"));
    write(&fresh.db, found, |conn, found| {
        Box::pin(async move {
            let groups = [found.node_groups[0].clone()];
            clusters::set_groups(conn, &found.id, &groups, NOW).await?;
            clusters::set_info(conn, &Cluster { info: Map::from_iter([("x".to_owned(), json!(1))]), ..found }, NOW)
                .await
        })
    })
    .await
    .expect("stored");
    let found = clusters::find(&mut conn, &cluster.id).await.expect("an answer").expect("a cluster");
    assert_eq!(
        (found.revision, found.node_groups, found.info["x"].clone()),
        (3, cluster.node_groups[..1].to_vec(), json!(1))
    );
}

async fn nothing_brings_a_deleting_cluster_back(fresh: Fresh) {
    let cluster = cluster("c");
    put(&fresh, &cluster).await;
    let set = |read: Option<ClusterStatus>, status: ClusterStatus| {
        let id = cluster.id.clone();
        fresh.db.write(move |conn| {
            let id = id.clone();
            Box::pin(async move { clusters::set_status(conn, &id, read, status, "why", NOW).await })
        })
    };
    assert!(!set(Some(ClusterStatus::Active), ClusterStatus::Scaling).await.expect("an answer"), "it is Validating");
    assert!(set(Some(ClusterStatus::Validating), ClusterStatus::Active).await.expect("an answer"));
    assert!(set(None, ClusterStatus::Deleting).await.expect("an answer"));
    assert!(!set(None, ClusterStatus::Active).await.expect("an answer"));
    let mut conn = fresh.db.read().await.expect("a reader");
    let found = clusters::find(&mut conn, &cluster.id).await.expect("an answer").expect("a cluster");
    assert_eq!(found.status, ClusterStatus::Deleting);
    write(&fresh.db, cluster.id.clone(), |conn, id| Box::pin(async move { clusters::delete(conn, &id).await }))
        .await
        .expect("removed");
    assert!(clusters::find(&mut conn, &cluster.id).await.expect("an answer").is_none());
}

fn node_group_template(name: &str) -> NodeGroupTemplate {
    NodeGroupTemplate {
        id: NodeGroupTemplateId::new(),
        project: project(),
        name: name.to_owned(),
        description: None,
        plugin: "spark".to_owned(),
        version: "2.3".to_owned(),
        settings: NodeSettings::default(),
        is_public: Flag::Off,
        is_protected: Flag::On,
        created_at: NOW,
        updated_at: None,
    }
}

fn cluster_template(name: &str, groups: Vec<NodeGroup>) -> ClusterTemplate {
    ClusterTemplate {
        id: ClusterTemplateId::new(),
        project: project(),
        name: name.to_owned(),
        description: None,
        plugin: "spark".to_owned(),
        version: "2.3".to_owned(),
        settings: ClusterSettings::default(),
        node_groups: groups,
        is_public: Flag::Off,
        is_protected: Flag::Off,
        created_at: NOW,
        updated_at: None,
    }
}

async fn a_template_is_used_by_name_and_cannot_go(fresh: Fresh) {
    let node = node_group_template("n");
    let whole = cluster_template("t", vec![group("g", 1, Some(&node.id))]);
    let user =
        Cluster { template: Some(whole.id.clone()), node_groups: vec![group("g", 1, Some(&node.id))], ..cluster("c") };
    write(&fresh.db, (node.clone(), whole.clone(), user), |conn, (node, whole, user)| {
        Box::pin(async move {
            node_group_templates::insert(conn, &node).await?;
            cluster_templates::insert(conn, &whole).await?;
            clusters::insert(conn, &user).await
        })
    })
    .await
    .expect("stored");
    let mut conn = fresh.db.read().await.expect("a reader");
    let users = node_group_templates::users(&mut conn, &node.id).await.expect("an answer");
    assert_eq!(users, (vec!["t".to_owned()], vec!["c".to_owned()]));
    assert_eq!(cluster_templates::users(&mut conn, &whole.id).await.expect("an answer"), ["c"]);
    assert_eq!(cluster_templates::using(&mut conn, &node.id).await.expect("an answer"), std::slice::from_ref(&whole));
    let removed = write(&fresh.db, node.id.clone(), |conn, id| {
        Box::pin(async move { node_group_templates::delete(conn, &id).await })
    });
    assert!(removed.await.is_err(), "groups refer to it");
    assert_eq!(
        node_group_templates::get(&mut conn, &project(), &node.id).await.expect("an answer"),
        Some(node.clone())
    );
    assert_eq!(node_group_templates::get(&mut conn, &other_project(), &node.id).await.expect("an answer"), None);
    assert!(!node_group_templates::has_name(&mut conn, &other_project(), "n").await.expect("an answer"));
    let page = node_group_templates::list(&mut conn, &project(), &Default::default()).await.expect("a page");
    assert_eq!(page.items, [node]);
}

async fn a_template_gives_its_groups_back_in_order(fresh: Fresh) {
    let template = cluster_template("t", vec![group("z", 1, None), group("a", 3, None)]);
    write(&fresh.db, template.clone(), |conn, template| {
        Box::pin(async move { cluster_templates::insert(conn, &template).await })
    })
    .await
    .expect("stored");
    let mut conn = fresh.db.read().await.expect("a reader");
    let found = cluster_templates::get(&mut conn, &project(), &template.id).await.expect("an answer");
    assert_eq!(found, Some(template.clone()));
    let changed = ClusterTemplate { name: "u".to_owned(), node_groups: vec![group("y", 1, None)], ..template.clone() };
    write(&fresh.db, changed.clone(), |conn, changed| {
        Box::pin(async move { cluster_templates::update(conn, &changed).await })
    })
    .await
    .expect("stored");
    let page = cluster_templates::list(&mut conn, &project(), &Default::default()).await.expect("a page");
    assert_eq!(page.items, [changed]);
    write(&fresh.db, template.id.clone(), |conn, id| {
        Box::pin(async move { cluster_templates::delete(conn, &id).await })
    })
    .await
    .expect("removed");
    assert_eq!(cluster_templates::get(&mut conn, &project(), &template.id).await.expect("an answer"), None);
}

async fn nodes_are_kept_by_name(fresh: Fresh) {
    let cluster = cluster("c");
    put(&fresh, &cluster).await;
    let node = |name: &str| Instance {
        id: InstanceId::new(),
        cluster: cluster.id.clone(),
        group: cluster.node_groups[0].id.clone(),
        name: name.to_owned(),
        attempt: 1,
        address: None,
        leaving: false,
        created_at: NOW,
        updated_at: None,
    };
    let (second, first) = (node("c-b-2"), node("c-b-1"));
    let address = NodeAddress { host: "127.0.0.1".to_owned(), port: 7077, web_port: 8080 };
    let moved = Instance { attempt: 2, address: Some(address), leaving: true, ..first.clone() };
    write(&fresh.db, (second.clone(), first, moved.clone()), |conn, (second, first, moved)| {
        Box::pin(async move {
            instances::insert(conn, &second).await?;
            instances::insert(conn, &first).await?;
            instances::update(conn, &moved, NOW).await
        })
    })
    .await
    .expect("stored");
    let mut conn = fresh.db.read().await.expect("a reader");
    let moved = Instance { updated_at: Some(NOW), ..moved };
    assert_eq!(instances::of(&mut conn, &cluster.id).await.expect("an answer"), [moved.clone(), second.clone()]);
    assert_eq!(instances::find(&mut conn, &moved.id).await.expect("an answer"), Some(moved.clone()));
    write(&fresh.db, moved.id.clone(), |conn, id| Box::pin(async move { instances::delete(conn, &id).await }))
        .await
        .expect("removed");
    assert_eq!(instances::of(&mut conn, &cluster.id).await.expect("an answer"), [second]);
}

async fn the_event_log_forgets_what_went_well(fresh: Fresh) {
    let cluster = cluster("c");
    put(&fresh, &cluster).await;
    let step = |id: &str| ProvisionStep {
        id: id.to_owned(),
        cluster: cluster.id.clone(),
        name: format!("step {id}"),
        kind: "kind".to_owned(),
        total: 2,
        successful: None,
        created_at: NOW,
        updated_at: None,
        events: Vec::new(),
    };
    let event = |id: &str| ProvisionEvent {
        id: id.to_owned(),
        group: Some(cluster.node_groups[0].id.clone()),
        instance: None,
        instance_name: Some("c-b-1".to_owned()),
        info: Some("trouble".to_owned()),
        successful: false,
        created_at: NOW,
    };
    let told = (step("1"), step("2"), event("a"), event("b"));
    write(&fresh.db, told, |conn, (one, two, a, b)| {
        Box::pin(async move {
            provision::begin(conn, &one).await?;
            provision::begin(conn, &two).await?;
            provision::record(conn, &one.id, &a).await?;
            provision::record(conn, &two.id, &b).await?;
            provision::end(conn, &one.id, true, NOW).await?;
            provision::end_open(conn, &two.cluster, false, NOW).await
        })
    })
    .await
    .expect("stored");
    let mut conn = fresh.db.read().await.expect("a reader");
    let steps = provision::steps(&mut conn, &cluster.id, true).await.expect("an answer");
    let ends: Vec<_> = steps.iter().map(|step| (step.successful, step.events.len())).collect();
    assert_eq!(ends, [(Some(true), 0), (Some(false), 1)]);
    assert_eq!(steps[1].events, [event("b")]);
    let bare = provision::steps(&mut conn, &cluster.id, false).await.expect("an answer");
    assert!(bare.iter().all(|step| step.events.is_empty()));
}

async fn the_last_look_at_health_replaces_the_one_before(fresh: Fresh) {
    let cluster = cluster("c");
    put(&fresh, &cluster).await;
    let check = HealthCheck {
        id: "k".to_owned(),
        name: "master".to_owned(),
        status: Health::Yellow,
        description: "slow".to_owned(),
        created_at: NOW,
    };
    let look = |id: &str, status: Health, checks: Vec<HealthCheck>| Verification {
        id: id.to_owned(),
        cluster: cluster.id.clone(),
        status,
        checks,
        created_at: NOW,
        updated_at: None,
    };
    let (first, second) = (look("1", Health::Checking, Vec::new()), look("2", Health::Yellow, vec![check]));
    write(&fresh.db, (first, second.clone()), |conn, (first, second)| {
        Box::pin(async move {
            provision::put_verification(conn, &first).await?;
            provision::put_verification(conn, &second).await
        })
    })
    .await
    .expect("stored");
    let mut conn = fresh.db.read().await.expect("a reader");
    assert_eq!(provision::verification(&mut conn, &cluster.id).await.expect("an answer"), Some(second));
}

async fn executions_of_a_cluster_are_found_while_they_owe(fresh: Fresh) {
    let waiting = execution("waiting");
    let mut wanted = execution("wanted");
    wanted.wish = Wish::Cancel;
    for row in [&waiting, &wanted] {
        store(&fresh.db, row).await;
    }
    let mut conn = fresh.db.read().await.expect("a reader");
    let found = executions::unfinished_of_cluster(&mut conn, &waiting.cluster).await.expect("an answer");
    assert_eq!(found, std::slice::from_ref(&waiting), "a stop is wanted of the other already");
    assert_eq!(executions::owed_of_cluster(&mut conn, &waiting.cluster).await.expect("an answer"), 2);
}

async fn images_and_labels_belong_to_a_project(fresh: Fresh) {
    let image = |username: &str| Image {
        id: "i".to_owned(),
        name: "i".to_owned(),
        username: Some(username.to_owned()),
        description: None,
        tags: vec!["b".to_owned(), "a".to_owned()],
        created_at: NOW,
        updated_at: None,
    };
    let label = |status: bool, version: Option<&str>| PluginLabel {
        plugin: "spark".to_owned(),
        version: version.map(str::to_owned),
        label: "enabled".to_owned(),
        status,
    };
    let told = (image("one"), image("two"), label(true, None), label(false, None), label(false, Some("2.3")));
    write(&fresh.db, told, |conn, (one, two, on, off, of_version)| {
        Box::pin(async move {
            let project: ProjectId = project();
            images::put(conn, &project, &one).await?;
            images::put(conn, &project, &two).await?;
            for label in [&on, &off, &of_version] {
                plugin_labels::put(conn, &project, label).await?;
            }
            Ok(())
        })
    })
    .await
    .expect("stored");
    let mut conn = fresh.db.read().await.expect("a reader");
    assert_eq!(images::get(&mut conn, &project(), "i").await.expect("an answer"), Some(image("two")));
    assert_eq!(images::get(&mut conn, &other_project(), "i").await.expect("an answer"), None);
    assert_eq!(images::all(&mut conn, &project()).await.expect("an answer"), [image("two")]);
    let mut labels = plugin_labels::of(&mut conn, &project()).await.expect("an answer");
    labels.sort_by_key(|label| label.version.clone());
    assert_eq!(labels, [label(false, None), label(false, Some("2.3"))]);
    assert!(plugin_labels::of(&mut conn, &other_project()).await.expect("an answer").is_empty());
    write(&fresh.db, (), |conn, ()| Box::pin(async move { images::delete(conn, &project(), "i").await }))
        .await
        .expect("removed");
    assert!(images::all(&mut conn, &project()).await.expect("an answer").is_empty());
}
