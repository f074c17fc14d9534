"""Folders for code: made for the user alone, and refused if anybody else could change what is in them."""

import os
import stat

import pytest

from fer_jax.machine.private_folder import UnsafeFolder, belongs_to_user_alone, private_folder

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


@pytest.fixture(params=[0o000, 0o002, 0o022])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_a_new_folder_is_for_the_user_alone_whatever_the_umask(tmp_path):
    folder = private_folder(tmp_path / "a" / "b")
    assert [mode(folder), mode(folder.parent)] == [0o700, 0o700]
    assert private_folder(folder) == folder


@pytest.mark.parametrize("open_one", [".", "..", "../.."])
def test_a_folder_that_others_can_change_is_refused_wherever_it_is_on_the_way(tmp_path, open_one):
    folder = private_folder(tmp_path / "a" / "b" / "c")
    (folder / open_one).resolve().chmod(0o777)
    with pytest.raises(UnsafeFolder, match="can be written to by other users"):
        private_folder(folder)
    (folder / open_one).resolve().chmod(0o1777)  # as /tmp: entries belong to their owners
    if open_one == ".":
        with pytest.raises(UnsafeFolder):
            private_folder(folder)
    else:
        private_folder(folder)


def test_a_link_is_followed_and_what_it_leads_through_is_checked(tmp_path):
    target = private_folder(tmp_path / "open" / "target")
    (tmp_path / "link").symlink_to("open/../open/target")
    private_folder(tmp_path / "link" / "native")
    target.parent.chmod(0o777)
    with pytest.raises(UnsafeFolder, match="open can be written to"):
        private_folder(tmp_path / "link" / "native")


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError):
        private_folder(tmp_path / "a" / "native")


@as_root
@pytest.mark.parametrize("which", ["folder", "parent"])
def test_another_users_folder_is_refused(tmp_path, which):
    folder = private_folder(tmp_path / "a" / "b")
    os.chown(folder if which == "folder" else folder.parent, 65534, 65534)
    with pytest.raises(UnsafeFolder, match="belongs to another user"):
        private_folder(folder)


@as_root
def test_a_group_counts_as_others_unless_it_is_the_users_own(tmp_path):
    folder = private_folder(tmp_path / "a")
    folder.chmod(0o770)
    private_folder(folder)  # root's group is root's alone
    os.chown(folder, 0, 65534)
    with pytest.raises(UnsafeFolder):
        private_folder(folder)


@pytest.mark.parametrize(("given", "alone"), [(0o600, True), (0o644, True), (0o666, False), (0o602, False)])
def test_a_file_belongs_to_the_user_alone(tmp_path, given, alone):
    path = tmp_path / "file"
    path.write_text("")
    path.chmod(given)
    assert belongs_to_user_alone(path) == alone
    (tmp_path / "link").symlink_to(path)
    assert not belongs_to_user_alone(tmp_path / "link")


@as_root
def test_another_users_file_does_not(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    os.chown(path, 65534, 65534)
    assert not belongs_to_user_alone(path)


def test_a_file_in_the_way_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/native"):
        with pytest.raises(NotADirectoryError):
            private_folder(tmp_path / place)
