(function() {
	// src/pwa/shell.ts
	var PREFIX = "nodegraph-shell";
	/** Addresses of the page below the worker's own. */
	var PAGES = /* @__PURE__ */ new Set(["", "generate"]);
	/** Files beside the page that keep their name when they change. */
	var NAMED = [
		"favicon.svg",
		"manifest.webmanifest",
		"icon-192.png",
		"icon-512.png"
	];
	/** What a proxy says of a server that is away. */
	var AWAY = /* @__PURE__ */ new Set([
		502,
		503,
		504
	]);
	/** Files that are fetched at once: the page has work of its own meanwhile. */
	var AT_ONCE = 4;
	function startShell(scope, { build, files }) {
		const base = new URL("./", scope.location.href).href;
		const prefix = `${PREFIX} ${base} `;
		const name = prefix + build;
		scope.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => scope.skipWaiting())));
		scope.addEventListener("activate", (event) => event.waitUntil(dropOld().then(() => scope.clients.claim())));
		scope.addEventListener("fetch", (event) => {
			const answer = answerOf(event.request);
			if (answer !== null) event.respondWith(answer);
		});
		function answerOf(request) {
			if (request.method !== "GET" || !request.url.startsWith(base)) return null;
			const path = new URL(request.url).pathname.slice(new URL(base).pathname.length);
			if (request.mode === "navigate") return PAGES.has(path) ? newest(request, base) : null;
			if (path.startsWith("assets/")) return keptOr(request);
			return NAMED.includes(path) ? newest(request, request.url) : null;
		}
		/** From the server; what is kept where that is away. */
		async function newest(request, key) {
			const kept = () => keptIn(name, key);
			try {
				const answer = await scope.fetch(request);
				return AWAY.has(answer.status) ? await kept() ?? answer : answer;
			} catch (error) {
				const answer = await kept();
				if (answer === void 0) throw error;
				return answer;
			}
		}
		/** What is kept of any build, for its name tells its content; else from the server. */
		async function keptOr(request) {
			return await keptFile(request.url) ?? scope.fetch(request);
		}
		async function keptFile(url) {
			for (const key of await ownCaches()) {
				const found = await keptIn(key, url);
				if (found !== void 0) return found;
			}
		}
		function keptIn(cacheName, url) {
			return scope.caches.match(url, {
				...LOOSELY,
				cacheName
			});
		}
		/** Keep all of this build, or nothing: half a page would be worse than none. */
		async function keepAll() {
			if (await keptIn(name, base) !== void 0) return;
			try {
				const page = await fetched(base, "no-cache");
				checkPage(await page.clone().text(), files);
				const cache = await scope.caches.open(name);
				const left = [...files, ...NAMED];
				const work = async () => {
					for (let path = left.pop(); path !== void 0; path = left.pop()) {
						const url = base + path;
						const isHashed = path.startsWith("assets/");
						const known = isHashed ? await keptFile(url) : void 0;
						await cache.put(url, known ?? await fetched(url, isHashed ? "default" : "no-cache"));
					}
				};
				await Promise.all(Array.from({ length: AT_ONCE }, work));
				await cache.put(base, page);
			} catch (error) {
				await scope.caches.delete(name);
				throw error;
			}
		}
		/** An answer that is what was asked for: one to log in, or of a proxy, isn't. */
		async function fetched(url, cache) {
			const answer = await scope.fetch(url, {
				cache,
				credentials: "same-origin"
			});
			if (!answer.ok || answer.redirected) throw new Error(`${url} answered ${answer.status}`);
			return answer;
		}
		/** The caches of this server, the newest first. */
		async function ownCaches() {
			return (await scope.caches.keys()).filter((key) => key.startsWith(prefix)).reverse();
		}
		async function dropOld() {
			const others = (await ownCaches()).filter((key) => key !== name);
			for (const key of others.slice(1)) await scope.caches.delete(key);
		}
	}
	/** The same file comes packed in several ways, and a page's address may carry a question. */
	var LOOSELY = {
		ignoreVary: true,
		ignoreSearch: true
	};
	/** Names of the files that a page loads first, below its own address. */
	function filesOf(page) {
		return [...page.matchAll(/(?:src|href)="[^"]*?(assets\/[\w.-]+)"/g)].map(([, path = ""]) => path);
	}
	/** The page that the server has just now must be of this build. */
	function checkPage(page, files) {
		const strange = filesOf(page).find((path) => !files.includes(path));
		if (strange !== void 0) throw new Error(`${strange} is of another build`);
	}
	// src/pwa/worker.ts
	/** The service worker: built by itself into `sw.js`, see scripts/serviceWorker.ts. */
	startShell(self, {
		build: "8c4ceb6e25c107c7",
		files: [
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AboutDialog-BWFiqgmz.js",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-BBNKoG9D.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-BmbF4ljk.js",
			"assets/CommentsPanel-DDgWLIyD.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/Completing-G7jbssP7.js",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-CTfNJp-r.js",
			"assets/FileView-BY70cqiW.js",
			"assets/FrameSteps-JbCKRwO0.js",
			"assets/GalleryPanel-C4yPe2ic.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GeneratePage-2CWtCotI.js",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-C2DqZRDd.js",
			"assets/GetModelsDialog-2zVNCv2m.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-Chlo9GZ0.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HelpPanel-Dqj6g8p4.js",
			"assets/HistoryPanel-BXYaTV-c.js",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InspectorPanel-DrDcuXXp.js",
			"assets/InstallPack-DnNwyVfN.js",
			"assets/LackingDialog-Bbwf90YC.js",
			"assets/LessonHost-BU9Xiy1b.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-Bove19cg.js",
			"assets/License-ChsO7aGu.css",
			"assets/LivePlot-B1Q57SnC.js",
			"assets/LivePlotDialog-DimpnzZ2.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-BI9szLKg.js",
			"assets/MaskDialog-DByKp8Xq.js",
			"assets/MaskDialog-aj2Zx-AD.css",
			"assets/MissingDialog-BSJFvZQ0.js",
			"assets/ModelsPanel-Bd1-frFN.js",
			"assets/ModelsPanel-BuHRhjkV.css",
			"assets/MoleculeView-BCXMa0cX.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/NodePresetsDialog-CoWNRLA4.js",
			"assets/OpenDialog-BuJv3SLX.js",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OrganizeDialog-CSGtCZSY.js",
			"assets/PackPanel-Ba_0npMR.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-Dbzh0lvn.js",
			"assets/PaintingView-CCm9kIFq.js",
			"assets/PaintingView-vwScJV5K.css",
			"assets/PalettePanel-Ch-ozQfM.js",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/ParametersPanel-DMjWUWJP.js",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/PlotFile-BalItAan.js",
			"assets/PlotView-DI8Z8qIj.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/Presence-FcSPgb_0.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-CuOdUfe9.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-BOxFspMF.js",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/QueuePanel-BINsGyGh.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-CMABtA9G.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/RowsDialog-D04yZGJd.js",
			"assets/SaveAsDialog-5KQJ7ERl.js",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/Section-DGLvzWe1.css",
			"assets/Section-DUOWOoq_.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SendDialog-p4u-Bm_5.js",
			"assets/SettingsDialog-B7Tnc7yD.js",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/ShapeView-D2kbdNxv.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-DsFyvKHR.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/ShortcutsDialog-CSGOs5rz.js",
			"assets/SmallPlot-CNLk_SNB.js",
			"assets/SoundPlayer-Bl_ukxrv.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/SpaceStage-c69un9Km.js",
			"assets/Stars-AY9Sboor.js",
			"assets/Stars-Bya5qWik.css",
			"assets/SweepDialog-C-mEBoAj.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/TextFile-DwhmHWPP.js",
			"assets/ToolFields-9as4zVY1.js",
			"assets/ToolFields-BO92ccB6.css",
			"assets/TranslatedDialog-p_r-j9uO.js",
			"assets/VideoPlayer-BdtoihUp.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer-BaKI-l6j.css",
			"assets/Viewer-DJZWuuou.js",
			"assets/actions-CbzWlppM.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/de-D07tKtbp.js",
			"assets/de-mtXZhYT-.js",
			"assets/download-qrOJwrrJ.js",
			"assets/ellipsis-vertical-Br_pK0n2.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-BImwFuxO.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-BMj_fhlU.js",
			"assets/es-C96QjH3x.js",
			"assets/exportSvg-DzI9mYft.js",
			"assets/exporting-C_KffoAC.js",
			"assets/eye-off-z6aZN8p-.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-B9HXqkXm.js",
			"assets/frames-CVTioPQg.js",
			"assets/graph-CGkpnMl-.js",
			"assets/graph-D4Cqm9Zo.css",
			"assets/grid-Bre8C10W.js",
			"assets/grid-C5dP5HNx.js",
			"assets/icons-CAmd6XwK.js",
			"assets/importing-623TTLJl.js",
			"assets/index-CSHQSRLG.css",
			"assets/index-D2Mu-2UF.js",
			"assets/install-eaH90sf9.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-wgsREnFe.js",
			"assets/kit-Boq8lF-6.js",
			"assets/kit-C71rNCQa.css",
			"assets/layerActions-myN1qZEM.js",
			"assets/lessons-5_3LGgIx.js",
			"assets/modelOffers-CpdQdnBl.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-CQpBhVvf.js",
			"assets/palette-DgVzBRmH.js",
			"assets/pictures-zV8gTQsw.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-DChl1UBO.js",
			"assets/resolve-0rTmWXgL.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-D_Zo855-.js",
			"assets/saving-Djg5ynj-.js",
			"assets/share-CUN9vCOm.js",
			"assets/shared-Bc1SHRJs.css",
			"assets/shared-DLMKnkjT.js",
			"assets/start-tpDgNKXv.js",
			"assets/starting-CxfmeYEx.js",
			"assets/states-CI541XGQ.js",
			"assets/taking-Ddnymz92.js",
			"assets/typeTexts-BU6KfuYN.js",
			"assets/useAnswer-C1mPNOkz.js",
			"assets/useConnection-Dy1U9PMt.js",
			"assets/useFile-Di4vlXSE.js",
			"assets/useInfiniteQuery-Dj_vsW2x.js",
			"assets/useZoom-CHgaaim6.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-D3vnIHVm.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-B9aqwssJ.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-RV5hY-SW.js"
		]
	});
})();
