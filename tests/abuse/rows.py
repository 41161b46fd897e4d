"""The 104 ways in which this app is abused, or used as nobody thought of: one row each, with the test that shows what the app does then.

`run` rows are tried in this folder, against one server over HTTP; after each of them it serves an edit to the next visitor. `covered` rows
are tried by tests elsewhere, which are named. `absent` rows have nothing to try here; `why` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["run", "covered", "absent"]


@dataclass(frozen=True)
class Row:
    """tests: "FILE::NAME" each, below tests/; none where the row is absent, and then why."""

    number: int
    surface: str
    what: str
    kind: Kind
    tests: tuple[str, ...] = ()
    why: str = ""


def _run(number: int, surface: str, what: str, *tests: str) -> Row:
    return Row(number, surface, what, "run", tuple(f"abuse/{test}" for test in tests))


def _covered(number: int, surface: str, what: str, *tests: str) -> Row:
    return Row(number, surface, what, "covered", tests)


def _absent(number: int, surface: str, what: str, why: str) -> Row:
    return Row(number, surface, what, "absent", why=why)


PICTURE, MASK, VALUE, REQUEST = (
    "test_pictures.py::test_a_picture",
    "test_masks.py::test_a_mask",
    "test_values.py::test_a_value",
    "test_requests.py::test_a_request",
)
API, CLI, UPLOADS, STAGE = "ui/server/test_api.py", "test_cli.py", "storage/test_uploads.py", "ui/stage/test_stage_value.py"

ROWS: tuple[Row, ...] = (
    _covered(1, "upload", "no picture", f"{API}::test_a_missing_picture_is_named"),
    _run(2, "upload", "an empty file", PICTURE),
    _run(3, "upload", "text, HTML or PDF with a picture's name", PICTURE),
    _run(4, "upload", "SVG", PICTURE),
    _run(5, "upload", "EPS, PSD, FITS, ICNS", PICTURE),
    _run(6, "upload", "half a JPEG", PICTURE),
    _run(7, "upload", "half a PNG; one without its end is taken", PICTURE),
    _run(8, "upload", "a flipped byte among the pixels", PICTURE),
    _run(9, "upload", "900 megapixels in 110 KB", PICTURE),
    _run(10, "upload", "100 megapixels in 12 KB", PICTURE),
    _run(11, "upload", "100,000 px wide, 30,000 px high", PICTURE),
    _run(12, "upload", "1 x 1 and 8 x 8", PICTURE),
    _run(13, "upload", "64 MB of text packed into 64 KB", PICTURE),
    _run(14, "upload", "80 texts of a megabyte", PICTURE),
    _run(15, "upload", "CMYK", PICTURE),
    _run(16, "upload", "16-bit grey", PICTURE),
    _run(17, "upload", "16-bit colour", PICTURE),
    _run(18, "upload", "a palette with transparency", PICTURE),
    _run(19, "upload", "colours hidden under alpha 0", PICTURE),
    _run(20, "upload", "turned by EXIF", PICTURE),
    _run(21, "upload", "broken EXIF", PICTURE),
    _run(22, "upload", "animated GIF, PNG, WebP", PICTURE),
    _run(23, "upload", "a place in EXIF, a profile, a comment", PICTURE),
    _run(24, "upload", "over the size limit", "test_pictures.py::test_an_upload_over_the_limit_is_refused_before_it_is_read"),
    _run(25, "upload", "500 at once, and half-sent ones", "test_pictures.py::test_500_uploads_at_once_hold_up_nobody"),
    _run(
        26,
        "upload",
        "names that lead elsewhere",
        "test_pictures.py::test_the_name_of_a_file_leads_nowhere",
        "test_pictures.py::test_a_file_without_a_name_is_no_upload",
    ),
    _run(27, "upload", "the same picture twice", "test_pictures.py::test_the_same_picture_twice_is_two_results"),
    _run(28, "mask", "black", MASK),
    _run(29, "mask", "white", MASK),
    _run(30, "mask", "a stroke of one pixel", MASK),
    _run(31, "mask", "another size than the picture's", MASK),
    _run(32, "mask", "soft, coloured, half transparent", MASK),
    _covered(33, "mask", "no layers, 300 layers: the stage sends one mask, of a bounded length", f"{STAGE}::test_hostile_value_is_refused"),
    _covered(34, "mask", "painted on another picture", f"{STAGE}::test_mask_of_another_picture_is_none_and_is_not_looked_at"),
    _covered(35, "mask", "an array that is no mask", "core/masks/test_mask.py::test_only_bytes_in_two_axes_are_a_mask"),
    _covered(36, "mask", "changed in place by the pipeline", "engines/kandinsky/test_engine.py::test_the_input_is_left_as_it_was"),
    _run(37, "mask", "inverted, and a switch that is none", MASK),
    _run(38, "mask", "16 bits, a palette, one bit, turned by EXIF", MASK),
    _run(39, "prompt", "empty, or spaces alone", VALUE),
    _run(40, "prompt", "5 MB", VALUE, "test_values.py::test_a_prompt_of_5_mb_is_not_read"),
    _covered(
        41,
        "prompt",
        "more words than the model reads",
        "engines/kandinsky/test_engine.py::TestNotices::test_words_beyond_the_tokens_are_named",
    ),
    _run(42, "prompt", "a lone surrogate", VALUE),
    _run(43, "prompt", "NUL, control characters, directions", VALUE),
    _covered(
        44,
        "prompt",
        "HTML and scripts",
        "ui/test_words.py::test_no_word_from_outside_becomes_html",
        "ui/server/test_refusals.py::test_what_a_refusal_says_is_text",
    ),
    _run(45, "prompt", "lines that look like settings", VALUE, "test_values.py::test_words_that_look_like_orders_are_words"),
    _run(46, "prompt", "templates and code", VALUE, "test_values.py::test_words_that_look_like_orders_are_words"),
    _run(47, "prompt", "format strings and quotes", VALUE, "test_values.py::test_words_that_look_like_orders_are_words"),
    _run(48, "prompt", "a list, a number, an object", VALUE),
    _run(49, "numbers", "steps out of range", VALUE),
    _run(50, "numbers", "guidance that is no number, or out of range", VALUE),
    _run(51, "numbers", "seeds out of range", VALUE),
    _run(52, "numbers", "0 and 1,000 candidates", VALUE),
    _run(53, "numbers", "sizes that no model takes", VALUE),
    _run(54, "numbers", "text, lists and objects for a number", VALUE),
    _run(
        55, "numbers", "arguments missing or too many", "test_values.py::test_arguments_that_are_missing_are_told_and_more_change_nothing"
    ),
    _run(56, "network", "a web address for a file", REQUEST),
    _run(57, "network", "scripts in the query", REQUEST),
    _run(58, "network", "foreign Host, Origin and preflight", REQUEST),
    _run(59, "network", "paths that lead elsewhere", REQUEST),
    _run(60, "network", "invented forwarded headers", REQUEST),
    _run(61, "files", "another's result, and what is none", "test_requests.py::test_what_is_no_result_is_not_given"),
    _absent(62, "files", "deleting twice", "Nobody deletes a result through the app."),
    _run(63, "files", "forged settings in a picture", "test_pictures.py::test_settings_in_a_picture_are_not_read"),
    _absent(64, "files", "downloading thousands at once", "A run has at most a few results; each is its own file, and nothing packs them."),
    _run(
        65,
        "files",
        "removed or replaced behind the app",
        "test_requests.py::test_a_result_that_somebody_removed_is_gone_and_nothing_else_is_lost",
    ),
    _run(66, "files", "visitors of one server", "test_requests.py::test_visitors_do_not_see_each_others_results"),
    _run(67, "HTTP", "broken, deep and huge JSON", REQUEST),
    _covered(68, "HTTP", "an unknown call", "faults/test_odd_requests.py::test_what_is_not_there_is_404"),
    _run(69, "HTTP", "a wrong method, a wrong content type", REQUEST),
    _run(70, "HTTP", "a picture as text", "test_requests.py::test_a_picture_as_text_is_no_upload"),
    _covered(
        71,
        "HTTP",
        "a login that is missing, wrong, long, not ASCII",
        "ui/security/test_guard.py::test_our_own_routes_ask_for_the_login",
        "ui/security/test_every_route.py::test_without_the_login_nothing_of_the_app_is_reached",
        "ui/security/test_login.py::test_guessing_is_slowed",
    ),
    _covered(72, "HTTP", "a caller who leaves", "ui/server/test_server.py::test_the_job_of_a_program_that_leaves_ends_at_once"),
    _absent(73, "HTTP", "the same idempotency key twice", "A call has no such key; with a seed the same call gives the same bytes."),
    _run(74, "HTTP", "an event or a session that is not there", REQUEST),
    _covered(
        75,
        "HTTP",
        "many jobs of one client",
        "ui/server/test_server.py::test_calls_without_a_name_of_ours_share_the_limit_of_their_address",
        "jobs/test_waiting.py::test_one_who_queues_many_does_not_hold_up_the_others",
    ),
    _run(
        76,
        "HTTP",
        "ranges, HEAD, conditions; an upload that is a page",
        "test_requests.py::test_a_result_is_read_in_every_way_of_http",
        "test_requests.py::test_an_upload_that_is_a_page_is_never_one",
    ),
    _covered(77, "command line", "a file that is missing, a folder, damaged", f"{CLI}::test_wrong_files", f"{CLI}::test_damaged_pictures"),
    _covered(
        78,
        "command line",
        "an output that exists, or is the input",
        f"{CLI}::test_candidates_are_numbered_and_an_old_output_is_replaced",
        f"{CLI}::test_wrong_files",
    ),
    _covered(79, "command line", "no mask", f"{CLI}::test_wrong_commands"),
    _covered(80, "command line", "Ctrl-C", f"{CLI}::TestAsAProcess::test_ctrl_c_during_a_run"),
    _covered(
        81,
        "command line",
        "closed streams, names that are no UTF-8",
        f"{CLI}::TestAsAProcess::test_outputs_that_nobody_reads",
        f"{CLI}::TestAsAProcess::test_bytes_that_are_no_utf8",
    ),
    _covered(82, "command line", "unknown and contradicting flags", f"{CLI}::test_wrong_flags"),
    _covered(
        83,
        "command line",
        "links in a circle, pipes, devices",
        f"{UPLOADS}::TestFromPath::test_a_link_in_a_circle",
        f"{UPLOADS}::TestFromPath::test_a_pipe_does_not_hang",
        f"{UPLOADS}::TestFromPath::test_a_kernel_file_does_not_hang",
    ),
    _covered(84, "settings", "broken TOML, unknown keys, wrong values", "config/test_settings.py::test_wrong_settings"),
    _covered(85, "settings", "a password", "config/test_settings.py::test_a_password_never_shows"),
    _covered(
        86,
        "settings",
        "a data folder that cannot be used",
        "storage/test_folder.py::test_a_file_in_its_place_is_a_wrong_setting",
        "storage/test_folder.py::test_a_disk_that_is_mounted_read_only_is_named",
        "storage/test_folder.py::test_a_full_disk_is_named",
    ),
    _covered(87, "settings", "a port that is taken", "ui/server/test_start.py::test_a_taken_port_is_one_line"),
    _covered(
        88,
        "settings",
        "no GPU, or one that cannot be used",
        "engines/test_device.py::test_auto_without_a_driver",
        "engines/runtime/test_torch_device.py::test_a_gpu_that_torch_cannot_use_is_the_machine_s_fault_and_no_wrong_request",
    ),
    _covered(89, "settings", "no HOME, no TMPDIR, locale C", "test_ordinary_machine.py::test_an_edit_on"),
    _covered(
        90,
        "settings",
        "other programs' variables",
        "startup/test_environment.py::test_what_is_dropped",
        "ui/server/test_start.py::test_a_proxy_is_asked_nothing",
    ),
    _covered(
        91,
        "settings",
        "reached by others without a login",
        "faults/test_exposure.py::test_without_a_login_it_does_not_start",
        "faults/test_exposure.py::test_a_program_that_launches_the_page_is_refused_too",
    ),
    _run(
        92,
        "settings",
        "a secret in the environment",
        "test_requests.py::test_what_the_page_and_its_description_tell_holds_neither_secret_nor_place",
    ),
    _covered(
        93, "models", "truncated, empty, a page, a pointer", "engines/runtime/test_checkpoint.py::test_damage_is_refused_in_a_sentence"
    ),
    _covered(94, "models", "a flipped bit", "faults/test_weights_that_rot.py::test_what_is_damaged_is_not_opened"),
    _covered(95, "models", "pickles and code", "engines/runtime/test_checkpoint.py::test_a_pickle_is_never_opened"),
    _covered(96, "models", "another model in its place", "engines/pipelines/test_inpaint.py::test_a_unet_of_other_channels_is_refused"),
    _covered(
        97,
        "models",
        "a folder removed while it serves",
        "faults/test_weights_that_rot.py::test_a_folder_that_is_removed_is_told_at_the_next_load_and_holds_again_when_it_is_back",
    ),
    _covered(
        98,
        "models",
        "a first start without a network",
        "ui/downloads/test_fetcher.py::test_what_goes_wrong_is_told",
        f"{CLI}::test_missing_weights_are_the_machines_fault",
    ),
    _covered(99, "at once", "a double click", "ui/test_page.py::test_pressed_twice_it_runs_once"),
    _covered(
        100,
        "at once",
        "two models",
        "jobs/test_worker.py::test_jobs_run_in_the_order_they_came",
        "engines/memory/test_residency.py::test_the_budget_decides_what_stays",
    ),
    _covered(
        101,
        "at once",
        "cancelled at every stage",
        "jobs/test_worker.py::test_cancel_racing_with_the_end_leaves_one_whole_outcome",
        "editing/test_run.py::test_whoever_watches_may_stop_it_at_any_stage",
        "jobs/test_worker.py::test_a_waiting_job_is_cancelled_at_once_and_never_runs",
    ),
    _covered(102, "at once", "a reload during a run", "ui/test_page.py::test_a_reload_during_a_run_finds_it_again_with_all_that_was_set"),
    _covered(
        103,
        "at once",
        "settings changed while a run waits",
        "ui/edit/test_handlers.py::test_what_is_changed_while_a_run_waits_changes_nothing_in_it",
    ),
    _covered(
        104,
        "at once",
        "two servers on one data folder, which is allowed",
        "storage/test_journal.py::test_two_servers_on_one_folder_keep_their_own_jobs",
    ),
)
