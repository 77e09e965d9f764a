//! What a job gets and does not get from the server's process, and control groups on a folder that looks like one.

use std::fs;

use foggara_domain::status::Outcome;
use foggara_engines::{Engine, JobRef, Observed, Stop, local::Local};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::place::{Place, kill, until};

#[tokio::test]
async fn a_job_has_a_session_of_its_own_and_no_ones_file_handles() {
    let place = Place::new();
    let held = fs::File::create(place.path("held")).expect("made");
    // As something that the starter of the server had open, a lock say.
    fcntl_setfd(&held, FdFlags::empty()).expect("set");
    let script = "echo up; cut -d' ' -f5,6 /proc/$$/stat; echo $$ $PPID; \
        ls -l /proc/$$/fd; sleep 600";
    let tag = place.start_up("session", script).await;
    let out = until("all of it", || async { Some(place.out(&tag).await).filter(|out| out.contains(" 2 ->")) }).await;
    let lines: Vec<&str> = out.lines().collect();
    let (group, session) = lines[1].split_once(' ').expect("group and session");
    let (own, parent) = lines[2].split_once(' ').expect("pids");
    assert_eq!((group, session), (own, parent), "it leads a group in the shim's session");
    assert_eq!(place.shim(&tag).to_string(), parent);
    for pid in [own, parent] {
        let handles = fs::read_dir(format!("/proc/{pid}/fd")).expect("listed").flatten();
        let targets: Vec<_> = handles.filter_map(|handle| fs::read_link(handle.path()).ok()).collect();
        assert!(!targets.contains(&place.path("held")), "{targets:?}");
    }
    let handles = fs::read_dir(format!("/proc/{own}/fd")).expect("listed").flatten();
    let numbers: Vec<String> = handles.map(|handle| handle.file_name().to_string_lossy().into_owned()).collect();
    // The shell keeps its script open at 10 or above.
    assert!(numbers.iter().all(|number| number.parse::<i32>().is_ok_and(|fd| !(3..10).contains(&fd))), "{numbers:?}");
    let score = fs::read_to_string(format!("/proc/{own}/oom_score_adj")).expect("read");
    assert_eq!(score.trim(), "300", "the kernel takes it before the server");
    let limits = fs::read_to_string(format!("/proc/{own}/limits")).expect("read");
    assert!(limits.lines().any(|line| line.starts_with("Max core file size        0 ")), "{limits}");
    place.engine.stop(JobRef::from(&tag), Stop::Hard).await.expect("sent");
    place.end(&tag).await;
}

#[tokio::test]
async fn signals_have_their_usual_effect() {
    let place = Place::new();
    let tag = place.tag("signals");
    // Not by way of a shell, which changes them for itself.
    let script = b"#!/usr/bin/awk -f\nBEGIN { while ((getline line < \"/proc/self/status\") > 0) if (line ~ /^Sig(Blk|Ign)/) print line }\n";
    let plan = place.program(&tag, script);
    place.launch(&tag, &plan).await.expect("launched");
    assert_eq!(place.end(&tag).await.outcome, Outcome::Succeeded);
    let out = place.out(&tag).await;
    assert_eq!(out.lines().count(), 2);
    for line in out.lines() {
        let mask = u64::from_str_radix(line.split_whitespace().last().unwrap_or_default(), 16).expect("a mask");
        // The real-time ones above are of no meaning here.
        assert_eq!(mask & 0x7fff_ffff, 0, "{line}");
    }
}

#[tokio::test]
async fn only_our_user_reads_what_a_job_is_made_of() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let (tag, _) = place.run("private", "echo x").await;
    let mode = |path: std::path::PathBuf| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(place.attempt(&tag)), 0o700);
    for name in ["launch.json", "decision", "exit.json", "lock"] {
        assert_eq!(mode(place.attempt(&tag).join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(place.log(&tag, "stdout")), 0o600);
}

/// A folder with the files that make a control group usable.
fn with_groups() -> Place {
    let place = Place::with(|settings| {
        let root = settings.data_dir.join("groups");
        fs::create_dir(&root).expect("made");
        for name in ["cgroup.procs", "cgroup.kill"] {
            fs::write(root.join(name), "").expect("written");
        }
        settings.cgroup_root = Some(root);
    });
    assert_eq!(Local::report(&place.settings).cgroups, Some(place.path("groups")));
    place
}

#[tokio::test]
async fn a_group_that_is_populated_is_not_gone() {
    let place = with_groups();
    let tag = place.start_up("grouped", "echo up; while [ ! -e go ]; do sleep 0.02; done; exit 6").await;
    let group = place.path("groups").join(tag.as_str());
    let main = place.out(&tag).await;
    assert_eq!(main, "up\n");
    let members = fs::read_to_string(group.join("cgroup.procs")).expect("it entered its group");
    assert!(crate::place::tagged(&tag).contains(&members.trim().parse().expect("a pid")));
    // Somebody is in the group whom nothing else shows.
    fs::write(group.join("cgroup.events"), "populated 1\nfrozen 0\n").expect("written");
    fs::write(place.workspace(&tag).join("go"), "").expect("written");
    until("the group is killed", || async {
        fs::read_to_string(group.join("cgroup.kill")).is_ok_and(|text| text == "1").then_some(())
    })
    .await;
    assert!(matches!(place.engine.observe(JobRef::from(&tag)).await, Ok(Observed::Running { .. })));
    fs::write(group.join("cgroup.events"), "populated 0\nfrozen 0\n").expect("written");
    let ended = place.end(&tag).await;
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(6)));
}

#[tokio::test]
async fn the_group_of_a_lost_job_counts_too() {
    let place = with_groups();
    let tag = place.start_up("grouped", "echo up; sleep 600").await;
    let group = place.path("groups").join(tag.as_str());
    fs::write(group.join("cgroup.events"), "populated 1\n").expect("written");
    kill(place.shim(&tag), rustix::process::Signal::KILL);
    until("it is lost", || async {
        place.engine.stop(JobRef::from(&tag), Stop::Hard).await.expect("sent");
        group.join("cgroup.kill").exists().then_some(())
    })
    .await;
    for _ in 0..5 {
        assert!(matches!(place.engine.observe(JobRef::from(&tag)).await, Ok(Observed::Running { .. })));
    }
    fs::write(group.join("cgroup.events"), "populated 0\n").expect("written");
    assert_eq!(place.end(&tag).await.reason.as_deref(), Some("lost: its supervisor was killed"));
}
