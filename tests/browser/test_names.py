"""What a screen reader is told: every control has a name, every page a title, headings in order."""

from __future__ import annotations

from playwright.async_api import Page

from tests.integration.ui.world import World

PROBLEMS = """() => {
  const found = [];
  const ids = [...document.querySelectorAll('[id]')].map(one => one.id);
  const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
  if (twice.length) found.push('ids twice: ' + twice);
  const named = one => [...(one.labels || [])].some(label => label.textContent.trim())
    || one.getAttribute('aria-label') || one.getAttribute('aria-labelledby')
    || one.getAttribute('title') || one.textContent.trim();
  const controls = 'input:not([type=hidden]), select, textarea, button:not([hidden])';
  for (const one of document.querySelectorAll(controls))
    if (!named(one)) found.push('no name: ' + one.outerHTML.slice(0, 120));
  for (const one of document.querySelectorAll('table'))
    if (one.rows.length && !one.querySelector('th[scope]')) found.push('a table without heads');
  for (const one of document.querySelectorAll('.scroll, pre.log'))
    if (one.tabIndex !== 0 || !one.getAttribute('aria-label'))
      found.push('scrolls, but not by keys: ' + one.className);
  const levels = [...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]));
  if (levels.filter(level => level === 1).length !== 1) found.push('not one h1: ' + levels);
  levels.forEach((level, at) => {
    if (at && level > levels[at - 1] + 1) found.push('a heading is left out: ' + levels);
  });
  if (document.querySelectorAll('main').length !== 1) found.push('not one main');
  if (!document.title.trim() || !document.documentElement.lang) found.push('no title or language');
  return found;
}"""


async def test_pages_of_a_laptop_and_its_jobs_name_what_is_on_them(
    world: World, page: Page
) -> None:
    laptop = await world.enroll("laptop", always_on=False)
    here = f"/hosts/{laptop}"
    group = await world.post(f"{here}/source-groups", name="home", includes=["/home"])
    await world.post(f"{here}/schedules", cron="0 2 * * *", source_group_ids=[group["id"]])
    await page.goto(f"{world.ui.url}{here}/snapshots")
    assert "no repository yet" in await page.inner_text("main")
    await world.put(f"{here}/repository", url="/srv/restic", password="correct horse")
    await world.serve_commands()
    session = await world.hello(laptop)
    job = (await world.post(f"{here}/backup", source_group_id=group["id"]))["job_id"]
    await world.finish(laptop, session, job, "failed")
    for path in (here, f"{here}/snapshots", "/jobs", f"/jobs/{job}", "/schedules",
                 "/restore", "/"):  # fmt: skip
        await page.goto(f"{world.ui.url}{path}")
        assert await page.evaluate(PROBLEMS) == [], path
