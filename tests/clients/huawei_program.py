"""A program as Huawei's examples for its SDK have it: keys from the environment, an endpoint, a job of Hive, its end, its rows.

usage: CLOUD_SDK_AK=... CLOUD_SDK_SK=... huawei_program.py ENDPOINT PROJECT CLUSTER
With PROJECT `-` the endpoint and the project are those of the region in CLOUD_REGION. Prints one JSON object.
"""
import json
import os
import sys
import time

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions import exceptions
from huaweicloudsdkmrs.v1 import ListClustersRequest
from huaweicloudsdkmrs.v1 import MrsClient as FirstClient
from huaweicloudsdkmrs.v2 import (CreateExecuteJobRequest, JobExecution, MrsClient, ShowSingleJobExeRequest,
                                  ShowSqlResultWithJobRequest)
from huaweicloudsdkmrs.v2.region.mrs_region import MrsRegion

STATEMENTS = """create table words (word string, many int);
insert into words values ('b', 2), ('a', 1), ('b', 3);
select word, sum(many) as many from words group by word order by word;
drop table words"""


def build(kind, endpoint, project):
    ak, sk = os.environ["CLOUD_SDK_AK"], os.environ["CLOUD_SDK_SK"]
    if project == "-":
        return kind.new_builder() \
            .with_credentials(BasicCredentials(ak, sk)) \
            .with_region(MrsRegion.value_of(os.environ["CLOUD_REGION"])) \
            .build()
    return kind.new_builder() \
        .with_credentials(BasicCredentials(ak, sk, project)) \
        .with_endpoint(endpoint) \
        .build()


def run(client, cluster, type, statements):
    request = CreateExecuteJobRequest(cluster_id=cluster)
    request.body = JobExecution(job_type=type, job_name="example", arguments=[statements])
    id = client.create_execute_job(request).job_submit_result.job_id
    for _ in range(1200):
        detail = client.show_single_job_exe(ShowSingleJobExeRequest(cluster_id=cluster, job_execution_id=id)).job_detail
        if detail.job_result != "UNDEFINED":
            return id, detail
        time.sleep(0.1)
    raise SystemExit("job %s has not ended: %s" % (id, detail))


def main(endpoint, project, name):
    client = build(MrsClient, endpoint, project)
    clusters = build(FirstClient, endpoint, project).list_clusters(ListClustersRequest(cluster_name=name)).clusters
    cluster = clusters[0].cluster_id
    try:
        _, hive = run(client, cluster, "HiveSql", STATEMENTS)
        id, spark = run(client, cluster, "SparkSql", STATEMENTS)
        rows = client.show_sql_result_with_job(ShowSqlResultWithJobRequest(cluster_id=cluster, job_execution_id=id))
    except exceptions.ClientRequestException as e:
        raise SystemExit("%s %s %s %s" % (e.status_code, e.request_id, e.error_code, e.error_msg))
    print(json.dumps({"hive": hive.job_result, "spark": spark.job_result, "rows": rows.sql_results}))


if __name__ == "__main__":
    main(*sys.argv[1:])
