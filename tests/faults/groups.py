"""The 38 kinds of faults that a machine, a disk, an engine or a network brings: one row each, with the tests that bring it about.

`here` rows are tried in this folder, on a server of their own over HTTP; `covered` rows by tests elsewhere. `absent` rows have nothing to
try here; `why` says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """tests: "FILE::NAME" each, below tests/; none where there is nothing to try, and then why."""

    number: int
    what: str
    tests: tuple[str, ...] = ()
    why: str = ""

    @property
    def kind(self) -> str:
        """here, covered or absent."""
        if not self.tests:
            return "absent"
        return "here" if any(test.startswith("faults/") for test in self.tests) else "covered"


BROKEN, MACHINES, DISKS, WORKER, WAITING, SERVER, DOWNLOAD, START = (
    "faults/test_broken_engines.py",
    "faults/test_odd_machines.py",
    "faults/test_full_disks.py",
    "jobs/test_worker.py",
    "jobs/test_waiting.py",
    "ui/server/test_server.py",
    "hub/test_download.py",
    "ui/server/test_start.py",
)
NO_DATABASE = "The app has no database: a result is a file, and so is the note of a job that runs."

GROUPS: tuple[Group, ...] = (
    Group(
        1,
        "kill -9 in the middle of a step",
        (
            f"{SERVER}::test_kill_9_is_told_after_a_restart_and_leaves_no_half_result",
            "storage/test_journal.py::test_litter_of_a_killed_process_is_swept_and_young_files_and_results_stay",
        ),
    ),
    Group(2, "kill -9 between a picture and its entry in a database", why=NO_DATABASE),
    Group(
        3,
        "kill -9 while a picture is written",
        ("storage/test_results.py::test_a_kill_while_writing_leaves_no_half_file_under_the_final_name",),
    ),
    Group(4, "kill -9 while a database is migrated", why=NO_DATABASE),
    Group(
        5,
        "SIGTERM with jobs that run and wait, once and twice",
        (
            f"{BROKEN}::test_a_second_signal_ends_a_server_whose_engine_does_not_listen",
            f"{SERVER}::test_sigterm_tells_those_who_run_and_those_who_wait_before_a_container_is_killed",
            "test_cli.py::TestAsAProcess::test_ctrl_c_during_a_run",
        ),
    ),
    Group(
        6,
        "a disk that fills while a result is saved",
        (
            f"{DISKS}::test_a_picture_is_downloaded_although_the_disk_takes_it_no_more",
            f"{DISKS}::test_a_result_in_memory_is_behind_the_login",
        ),
    ),
    Group(
        7, "a disk that takes no note of a job", ("storage/test_journal.py::test_a_disk_that_refuses_costs_the_journal_and_not_the_job",)
    ),
    Group(8, "a disk that takes no upload", (f"{DISKS}::test_an_upload_that_fits_no_more_is_a_sentence",)),
    Group(
        9,
        "a data folder that is read-only, a file, deleted, from the start or later",
        (
            "faults/test_odd_requests.py::test_the_data_folder_becomes_a_file",
            f"{START}::test_what_is_wrong_is_one_line",
            f"{START}::test_a_folder_that_is_deleted_while_it_serves_is_made_again",
            "storage/test_folder.py::test_a_disk_that_is_mounted_read_only_is_named",
        ),
    ),
    Group(
        10,
        "memory that runs out once",
        (
            "editing/test_memory_fallback.py::test_rungs_are_taken_in_order_and_said",
            "jobs/test_executors.py::test_memory_that_ran_out_once_is_met_with_less_and_said",
        ),
    ),
    Group(
        11,
        "memory that always runs out",
        (
            "editing/test_memory_fallback.py::test_after_the_last_rung_a_sentence_with_the_size_asked_for_and_the_free_memory",
            "editing/test_memory_fallback.py::test_an_extent_never_shrinks_below_a_sixteenth_although_the_model_would_take_it",
            "jobs/test_executors.py::test_memory_that_always_runs_out_ends_in_a_sentence",
        ),
    ),
    Group(
        12,
        "memory that runs out under another error's name",
        ("engines/memory/test_out_of_memory.py::test_every_way_of_running_out_of_memory_is_one_error_that_says_which_memory",),
    ),
    Group(
        13,
        "memory that runs out while a model loads",
        ("engines/pipelines/test_parts.py::test_memory_that_runs_out_while_a_part_is_loaded_is_said",),
    ),
    Group(
        14,
        "memory that runs out in one stage",
        ("engines/kandinsky/test_engine.py::TestTrouble::test_memory_running_out_is_said_and_given_back",),
    ),
    Group(
        15,
        "NaN, another shape, nothing in the place of a picture",
        (
            f"{BROKEN}::test_a_fault_of_an_engine_ends_its_job_alone",
            "engines/kandinsky/test_engine.py::TestTrouble::test_a_nan_weight_is_bad_output",
            "editing/test_run.py::test_a_wrong_picture_from_the_engine_is_never_pasted",
        ),
    ),
    Group(16, "an error with a path and a secret in its text", (f"{BROKEN}::test_a_fault_of_an_engine_ends_its_job_alone",)),
    Group(
        17,
        "an error that cannot be shown, an exit, an interrupt",
        (f"{BROKEN}::test_a_fault_of_an_engine_ends_its_job_alone", f"{WORKER}::test_whatever_a_job_throws_the_next_one_runs"),
    ),
    Group(18, "a slow engine", (f"{BROKEN}::test_beside_a_slow_engine_all_else_is_served_and_a_cancel_is_heard_at_the_next_step",)),
    Group(
        19, "an engine that says nothing any more", (f"{WAITING}::test_a_hung_engine_ends_its_job_and_those_that_wait_for_their_watchers",)
    ),
    Group(
        20,
        "an engine's process that dies",
        (
            f"{BROKEN}::test_a_fault_of_an_engine_ends_its_job_alone",
            "jobs/test_executors.py::test_a_process_that_is_ended_from_outside_is_told_and_another_takes_its_place",
        ),
    ),
    Group(21, "a GPU that is lost", why="No machine of the tests has one to lose. Any error of an engine ends its job alone (17)."),
    Group(
        22,
        "a caller who leaves while a job waits, runs or is delivered",
        (
            f"{SERVER}::test_the_job_of_a_program_that_leaves_ends_at_once",
            f"{SERVER}::test_a_call_that_nobody_ever_listens_to_ends_too",
            f"{WAITING}::test_who_left_while_waiting_stands_before_nobody",
        ),
    ),
    Group(23, "a cancel that races with the end", (f"{WORKER}::test_cancel_racing_with_the_end_leaves_one_whole_outcome",)),
    Group(24, "a damaged database", why=NO_DATABASE),
    Group(
        25,
        "a picture that is deleted or replaced by garbage",
        (
            "abuse/test_requests.py::test_a_result_that_somebody_removed_is_gone_and_nothing_else_is_lost",
            "ui/runs/test_session.py::test_a_picture_that_is_gone_is_told",
        ),
    ),
    Group(
        26,
        "damaged weights and a damaged cache",
        (
            "faults/test_weights_that_rot.py::test_what_is_damaged_is_not_opened",
            "engines/runtime/test_checkpoint.py::test_damage_is_refused_in_a_sentence",
            "engines/kandinsky/test_engine.py::TestZeroEmbedding::test_a_damaged_file_is_made_again",
        ),
    ),
    Group(
        27,
        "a download that is cut, wrong, refused, too large, killed",
        (
            f"{DOWNLOAD}::test_a_broken_connection_is_resumed_where_it_broke",
            f"{DOWNLOAD}::test_wrong_bytes_are_fetched_once_more_and_then_refused",
            f"{DOWNLOAD}::test_what_cannot_be_is_one_sentence_and_nothing_is_locked",
            f"{DOWNLOAD}::test_a_disk_that_is_too_small_is_told_before_any_weights_are_fetched",
            f"{DOWNLOAD}::TestAsAProcess::test_an_interrupted_download_is_whole_after_the_next_one",
        ),
    ),
    Group(28, "no network after the first run", ("hub/test_first_download.py::test_a_downloaded_model_repaints_offline",)),
    Group(
        29,
        "two servers on one folder, two downloads of one model",
        (
            "storage/test_journal.py::test_two_servers_on_one_folder_keep_their_own_jobs",
            f"{DOWNLOAD}::test_two_that_lock_at_the_same_time_both_stay",
        ),
    ),
    Group(30, "a clock that jumps", (f"{MACHINES}::test_a_clock_that_jumps_costs_nothing",)),
    Group(
        31,
        "no open files, no threads, no temporary folder left",
        (
            f"{MACHINES}::test_when_open_files_run_out_the_server_comes_back",
            "storage/test_quota.py::TestHousekeeper::test_a_system_without_a_thread_to_give_costs_a_sweep_and_no_result",
            "engines/erase/test_fill_process.py::test_a_system_that_starts_no_process_is_told",
            "test_ordinary_machine.py::test_an_edit_on",
        ),
    ),
    Group(32, "a shared link that cannot be made", (f"{MACHINES}::test_without_a_tunnel_the_server_serves_this_machine",)),
    Group(33, "a database that is busy", why=NO_DATABASE),
    Group(
        34,
        "a log on a full disk, closed streams",
        (f"{MACHINES}::test_output_that_cannot_be_written_costs_no_edit", "test_ordinary_machine.py::test_a_server_on"),
    ),
    Group(35, "too little memory to decode a picture", ("storage/test_uploads.py::test_too_little_memory_is_no_damage",)),
    Group(36, "a Space that starts anew on an empty disk", why="It is any first start: nothing is kept that could be missed."),
    Group(37, "a process that is lent a GPU", ("jobs/test_executors.py::test_the_process_is_another_one_that_sees_nothing_change_here",)),
    Group(38, "a newer or an older version's data", why="Results are plain pictures, and no other file of a version is read by another."),
)
