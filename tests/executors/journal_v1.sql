PRAGMA application_id = 1112686921;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE blobs (hash BLOB PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE calls (
    key TEXT PRIMARY KEY, run INTEGER NOT NULL, node TEXT NOT NULL, tool TEXT NOT NULL, effect TEXT NOT NULL, at REAL NOT NULL,
    state TEXT NOT NULL, args TEXT NOT NULL, value TEXT, blob BLOB, error TEXT
);
INSERT INTO "calls" VALUES('0123456789ab:note',1,'note','note','mutating',1.79524011307132959369e+09,'done','{"x":4}','"noted 4"',NULL,NULL);
CREATE TABLE log (id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL, value TEXT, blob BLOB);
INSERT INTO "log" VALUES(4294967296,1.79524011306819748874e+09,'event','{"kind":"run.started","question":"Twice one and two?","engine":"scripted:scripted","tools":["double","note"],"max_rounds":3,"sequential":false,"seed":0}',NULL,NULL);
INSERT INTO "log" VALUES(4294967297,1.79524011306832790377e+09,'event','{"kind":"round.started","round":0,"feedback":"","revision":false}',NULL,NULL);
INSERT INTO "log" VALUES(4294967298,0.0,'begin','',NULL,NULL);
INSERT INTO "log" VALUES(4294967299,1.79524011306936478616e+09,'event','{"kind":"planner.text","text":"xs = [double(i) for i in [1, 2]]\nif xs[0] > 1:\n    note(xs[1])\nanswer(xs)\n","attempt":0}',NULL,NULL);
INSERT INTO "log" VALUES(4294967300,1.79524011306996917726e+09,'event','{"kind":"planner.statement","nodes":["xs"],"name":"xs","source":"xs = [double(i) for i in [1, 2]]","line":1,"round":0,"attempt":0}',NULL,NULL);
INSERT INTO "log" VALUES(4294967301,1.79524011307004165648e+09,'event','{"kind":"plan.patched","version":1,"added":["xs"],"cancelled":[],"reason":"line 1 of the plan"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967302,1795240113.07007,'event','{"kind":"node.added","node":"xs","op":"map","name":"xs","tool":"double","source":"xs = [double(i) for i in [1, 2]]","round":0,"line":1,"parent":null,"depends_on":[]}',NULL,NULL);
INSERT INTO "log" VALUES(4294967303,1.58259999989240895956e-03,'patch','{"base":0,"add":[{"":"Node","id":"xs","op":{"":"Map","var":"i","over":{"":"ListOf","items":[{"":"Const","value":1},{"":"Const","value":2}]},"body":{"":"ToolCall","tool":"double","args":[["x",{"":"Ref","name":"i"}]]}},"name":"xs","line":1,"source":"xs = [double(i) for i in [1, 2]]"}],"reason":"line 1 of the plan"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967304,1795240113.07017,'event','{"kind":"node.started","node":"xs","at":0.0016639370005577803}',NULL,NULL);
INSERT INTO "log" VALUES(4294967305,1.79524011307018780706e+09,'event','{"kind":"node.added","node":"xs[0]","op":"tool","name":null,"tool":"double","source":"xs = [double(i) for i in [1, 2]]","round":0,"line":1,"parent":"xs","depends_on":[]}',NULL,NULL);
INSERT INTO "log" VALUES(4294967306,1.79524011307020092014e+09,'event','{"kind":"node.added","node":"xs[1]","op":"tool","name":null,"tool":"double","source":"xs = [double(i) for i in [1, 2]]","round":0,"line":1,"parent":"xs","depends_on":[]}',NULL,NULL);
INSERT INTO "log" VALUES(4294967307,1.79524011307038021088e+09,'event','{"kind":"node.started","node":"xs[0]","at":0.0018767120000120485}',NULL,NULL);
INSERT INTO "log" VALUES(4294967308,1.97361200116574764251e-03,'settled','["xs[0]", "done", 0.0018767120000120485, null, null]','2',NULL);
INSERT INTO "log" VALUES(4294967309,1.7952401130705115795e+09,'event','{"kind":"node.finished","node":"xs[0]","at":0.0019736120011657476,"seconds":0.00009690000115369912,"result":"2"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967310,1.7952401130705304146e+09,'event','{"kind":"node.started","node":"xs[1]","at":0.0020280370008549653}',NULL,NULL);
INSERT INTO "log" VALUES(4294967311,2.06136400083778426051e-03,'settled','["xs[1]", "done", 0.0020280370008549653, null, null]','4',NULL);
INSERT INTO "log" VALUES(4294967312,1.79524011307057595248e+09,'event','{"kind":"node.finished","node":"xs[1]","at":0.0020613640008377843,"seconds":0.00003332699998281896,"result":"4"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967313,1.79524011307059407236e+09,'event','{"kind":"node.finished","node":"xs","at":0.002085207001073286,"seconds":0.00042127000051550567,"result":"2, 4"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967314,1.7952401130707416534e+09,'event','{"kind":"planner.statement","nodes":["note"],"name":null,"source":"note(xs[1])","line":3,"round":0,"attempt":0}',NULL,NULL);
INSERT INTO "log" VALUES(4294967315,1.79524011307077431681e+09,'event','{"kind":"plan.patched","version":2,"added":["note"],"cancelled":[],"reason":"line 3 of the plan"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967316,1.79524011307079076763e+09,'event','{"kind":"node.added","node":"note","op":"tool","name":null,"tool":"note","source":"note(xs[1])","round":0,"line":3,"parent":null,"depends_on":["xs[0]","xs[1]"]}',NULL,NULL);
INSERT INTO "log" VALUES(4294967317,2.29709100131003651767e-03,'patch','{"base":1,"add":[{"":"Node","id":"note","op":{"":"ToolCall","tool":"note","args":[["x",{"":"Ref","name":"xs","path":[1]}]]},"guards":[{"":"Guard","condition":{"":"Compare","op":">","left":{"":"Ref","name":"xs","path":[0]},"right":{"":"Const","value":1}},"expected":true}],"line":3,"source":"note(xs[1])"}],"reason":"line 3 of the plan"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967318,1.79524011307097220422e+09,'event','{"kind":"node.waits","node":"note","reason":"approval"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967319,1.79524011307104015347e+09,'event','{"kind":"planner.statement","nodes":["answer"],"name":null,"source":"answer(xs)","line":4,"round":0,"attempt":0}',NULL,NULL);
INSERT INTO "log" VALUES(4294967320,1.79524011307106590271e+09,'event','{"kind":"plan.patched","version":3,"added":["answer"],"cancelled":[],"reason":"line 4 of the plan"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967321,1.7952401130710778236e+09,'event','{"kind":"node.added","node":"answer","op":"answer","name":null,"tool":null,"source":"answer(xs)","round":0,"line":4,"parent":null,"depends_on":["xs"]}',NULL,NULL);
INSERT INTO "log" VALUES(4294967322,2.58319900058268103748e-03,'patch','{"base":2,"add":[{"":"Node","id":"answer","op":{"":"Answer","values":[{"":"Ref","name":"xs"}]},"line":4,"source":"answer(xs)"}],"reason":"line 4 of the plan"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967323,1.79524011307112097736e+09,'event','{"kind":"node.started","node":"answer","at":0.0026188290012214566}',NULL,NULL);
INSERT INTO "log" VALUES(4294967324,1.79524011307113933559e+09,'event','{"kind":"node.finished","node":"answer","at":0.0026188290012214566,"seconds":0.0,"result":"2, 4"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967325,1.79524011307123374935e+09,'event','{"kind":"node.started","node":"note","at":0.0027318290012772195}',NULL,NULL);
INSERT INTO "log" VALUES(4294967326,4.17749500047648325562e-03,'settled','["note", "done", 0.0027318290012772195, null, null]','"noted 4"',NULL);
INSERT INTO "log" VALUES(4294967327,1.79524011307273936269e+09,'event','{"kind":"node.finished","node":"note","at":0.004177495000476483,"seconds":0.0014456659991992638,"result":"noted 4"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967328,1.79524011307291316984e+09,'event','{"kind":"planner.finished","valid":true,"stopped":false,"plan":"xs = [double(i) for i in [1, 2]]\nif xs[0] > 1:\n    note(xs[1])\nanswer(xs)\n","text":"xs = [double(i) for i in [1, 2]]\nif xs[0] > 1:\n    note(xs[1])\nanswer(xs)\n","seconds":0.004457974999240832,"round":0,"attempts":1,"statements":3,"prompt_tokens":878,"cached_tokens":0,"generated_tokens":1}',NULL,NULL);
INSERT INTO "log" VALUES(4294967329,4.4384379998518852517e-03,'planned','',NULL,NULL);
INSERT INTO "log" VALUES(4294967330,1.79524011307306885715e+09,'event','{"kind":"round.finished","round":0,"answered":true,"why":""}',NULL,NULL);
INSERT INTO "log" VALUES(4294967331,1.79524011307312154764e+09,'event','{"kind":"run.answered","answer":"2, 4"}',NULL,NULL);
INSERT INTO "log" VALUES(4294967332,1.79524011307313966748e+09,'event','{"kind":"run.finished","answer":"2, 4","rounds":1,"seconds":0.0048457329994562315,"stopped":null,"reason":""}',NULL,NULL);
CREATE TABLE results (key TEXT PRIMARY KEY, at REAL NOT NULL, value TEXT NOT NULL);
CREATE TABLE run_blobs (run INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (run, hash)) WITHOUT ROWID;
CREATE TABLE runs (
    no INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, created REAL NOT NULL, updated REAL NOT NULL,
    status TEXT NOT NULL, question TEXT NOT NULL, answer TEXT, spec TEXT NOT NULL, spent TEXT NOT NULL DEFAULT '{}'
);
INSERT INTO "runs" VALUES(1,'0123456789ab',1.79524011306786417966e+09,1.79524011307321810721e+09,'answered','Twice one and two?','2, 4','{"engine": "scripted:scripted", "threads": null, "mcp": null, "history": [], "instructions": "", "max_rounds": 3, "max_repairs": 2, "limits": {"max_concurrency": 64, "node_timeout": null, "max_nodes": 10000, "max_map_items": 10000}, "sequential": false, "seed": 0, "budget": null, "tools": {"double": "db82ccf47423fca3", "note": "13409b4f81127ce7"}}','{"tokens": 914, "calls": 4, "seconds": 0.03048572499938018}');
CREATE INDEX calls_of_run ON calls (run);
CREATE INDEX runs_of_blob ON run_blobs (hash);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',1);
COMMIT;
