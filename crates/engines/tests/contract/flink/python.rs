//! Programs in Python on a real Flink. Not part of a usual run: `apache-flink` takes 840 MB.

use std::{fs, path::PathBuf};

use foggara_domain::{plan::Plan, status::Outcome};
use foggara_engines::{Engine, EngineError, JobRef, Stop, Stream};

use super::{FlinkRig, engine};
use crate::{
    place::{end_of, until},
    rig::Rig,
};

const PROGRAM: &str = "
import sys
import helper
from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf

print('main prints', sys.argv[1:])
if sys.argv[1] == 'throws':
    raise ValueError('the program has had enough')


@udf(result_type=DataTypes.STRING())
def shout(text):
    return helper.upper(text)


rows = \",'number-of-rows' = '2'\" if sys.argv[1] == 'two' else ''
env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
env.create_temporary_function('shout', shout)
env.execute_sql(f\"CREATE TABLE a (n INT) WITH ('connector' = 'datagen'{rows})\")
env.execute_sql(\"CREATE TABLE b (w STRING) WITH ('connector' = 'print')\")
env.execute_sql(\"INSERT INTO b SELECT shout('a') FROM a\")
";

#[ignore = "needs FLINK_PYTHON, a Python with apache-flink of the version of FLINK_HOME (docs/engines/flink.md)"]
#[tokio::test(flavor = "multi_thread")]
async fn programs_in_python_run() {
    let python = PathBuf::from(std::env::var_os("FLINK_PYTHON").expect("FLINK_PYTHON"));
    let rig = FlinkRig::new().await;
    let data = rig.place.path("data");
    let engine = engine(&data, &rig.proxy.url(), |settings| settings.python = Some(python));
    for how in ["two", "throws", "endless"] {
        let tag = rig.place.tag(how);
        let folder = rig.place.workspace(&tag);
        let (program, helper) = (folder.join("program.py"), folder.join("helper.py"));
        fs::write(&program, PROGRAM).expect("written");
        fs::write(&helper, "def upper(text):\n    return text.upper() + '!'\n").expect("written");
        let mut plan = rig.plan(&tag).expect("a plan");
        if let Plan::Flink { main, libs, args, .. } = &mut plan {
            (*main, *libs) = (program, vec![helper]);
            *args = vec![how.to_owned(), "two words".to_owned()];
        }
        let job = JobRef::from(&tag);
        let launched = engine.launch(rig.launch_of(&tag, &plan)).await;
        if how == "throws" {
            let wanted = EngineError::Refused("ValueError: the program has had enough".to_owned());
            assert_eq!(launched.expect_err("it throws"), wanted);
        } else {
            let launched = launched.expect("launched");
            let again = engine.launch(rig.launch_of(&tag, &plan)).await.expect("there");
            assert_eq!((again.reference, again.note), (launched.reference, None), "the same job again is the same job");
        }
        let read = || async {
            let piece = engine.logs(job, Stream::Stdout, 0, 1 << 20).await.expect("a log");
            String::from_utf8_lossy(&piece.bytes).into_owned()
        };
        match how {
            "two" => {
                assert_eq!(end_of(&engine, job).await.outcome, Outcome::Succeeded);
                assert_eq!(read().await, "main prints ['two', 'two words']\n+I[A!]\n+I[A!]\n");
            }
            "endless" => {
                let out = rig.place.path("flink").join("taskmanager.out");
                let more = || fs::read_to_string(&out).is_ok_and(|text| text.matches("+I[A!]").count() > 2);
                until("its tasks print", || async { more().then_some(()) }).await;
                engine.stop(job, Stop::Hard).await.expect("stopped");
                assert_eq!(end_of(&engine, job).await.outcome, Outcome::Killed);
            }
            _ => assert!(read().await.contains("\nValueError: the program has had enough"), "the traceback"),
        }
    }
}
