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
		build: "f9be8d1f628fbba5",
		files: [
			"assets/AboutDialog-B5zj2VqB.js",
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-SccLoGh5.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-BMsg0tOe.js",
			"assets/CommentsPanel-BGmlHR-v.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/CompareDialog-eYtAVuOg.css",
			"assets/CompareDialog-emxsbMYk.js",
			"assets/Completing-DAeijWUt.js",
			"assets/Credentials-Cirk6yvg.css",
			"assets/Credentials-D1w2U29k.js",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-BfMZqqWb.js",
			"assets/FileView-DbV7dS9o.js",
			"assets/FrameSteps-CWFH1Zw9.js",
			"assets/GalleryPanel-BJP-tdDk.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-DTP72xZi.js",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-B67zFqa9.js",
			"assets/GetModelsDialog-DUvBO2wv.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-CCW0JhqE.js",
			"assets/HelpPanel-CltfTl5M.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-DKkrnQ09.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InspectorPanel-CqSJgVlP.js",
			"assets/InstallPack-BvLF05zg.js",
			"assets/LackingDialog-M_8GrSyX.js",
			"assets/LessonHost-DCWWN_2e.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-ChsO7aGu.css",
			"assets/License-cIBbv2Un.js",
			"assets/LineageView-Bxa4855h.js",
			"assets/LineageView-C0_ReHPS.css",
			"assets/LivePlot-DQl0ys1l.js",
			"assets/LivePlotDialog-BsUmkWPc.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-vgfuV9Zw.js",
			"assets/MaskDialog-D9CN8A5j.js",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MergeDialog-D2VzT8Og.js",
			"assets/MissingDialog-CorxqfGy.js",
			"assets/ModelsPanel-By3qGu_X.js",
			"assets/ModelsPanel-CQGOcmq0.css",
			"assets/MoleculeView-BLJqV9LW.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-6OazIWed.js",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/OpenDialog-BFkXcA67.js",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OrganizeDialog-CU7VtNLy.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PackPanel-DtZCaDjy.js",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-CVwgztVT.js",
			"assets/PaintingView-Cm3wtUyE.js",
			"assets/PaintingView-J2tBfXGs.css",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/PalettePanel-xkoBNbVT.js",
			"assets/ParametersPanel-CcXUSHcB.js",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/PlotFile-Dk0uNoKI.js",
			"assets/PlotView-CpPSj-nt.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/Presence-STgJnw4T.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemHelp-lPvdRAqL.js",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/ProblemsPanel-Kf_EkC4e.js",
			"assets/QueuePanel-C-U0OFGR.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-W4JHstLv.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/RowsDialog-Cl2Vc7hP.js",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/SaveAsDialog-lcqqChEw.js",
			"assets/Section-CXb8AiK4.js",
			"assets/Section-DGLvzWe1.css",
			"assets/SendDialog-BQ0vOqg7.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/SettingsDialog-D7jL9UEs.js",
			"assets/ShapeView-DOipW2ED.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-CI32QVl6.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/ShortcutsDialog-D4GqGBEf.js",
			"assets/SmallPlot-ClZlTFus.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SoundPlayer-NopnoTMC.js",
			"assets/SpaceStage-DzYQ7m91.js",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/Stars-Bya5qWik.css",
			"assets/Stars-Dra8-cHY.js",
			"assets/SweepDialog-BiNEYF8A.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/TextFile-DVbETlDv.js",
			"assets/ToolFields-8-OJNNRD.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/TranslatedDialog-9UQRvO4f.js",
			"assets/VideoPlayer-DMwOdgY_.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer-CbwlZl-c.css",
			"assets/Viewer-DP64elYI.js",
			"assets/actions-DcqX1MC3.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/conflict-D_XYM6W6.js",
			"assets/de-C7zEYuTo.js",
			"assets/de-D07tKtbp.js",
			"assets/download-qrOJwrrJ.js",
			"assets/draftLink-Bw8j1RJr.js",
			"assets/drawing-DEPlwE2f.js",
			"assets/ellipsis-vertical-HIZJEgAx.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-lvDaj_iO.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-C96QjH3x.js",
			"assets/es-CmIcIpRn.js",
			"assets/exportSvg-BzZjqJ5B.js",
			"assets/exporting-DNi20Ylw.js",
			"assets/eye-off-DqFjQmJE.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-tFvOK7jR.js",
			"assets/frames-B-mcAXYn.js",
			"assets/graph-5ycfkmQJ.js",
			"assets/graph-8j-ExLoO.css",
			"assets/grid-BIlS3csX.js",
			"assets/grid-D6o0jDOC.js",
			"assets/icons-C7mpDlYV.js",
			"assets/importing-BEUgX_Vp.js",
			"assets/index-BHsA_fRN.css",
			"assets/index-Df-S2jqp.js",
			"assets/install-QaU5r06Q.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-CB-i8SQF.js",
			"assets/kit-BsbknK1j.css",
			"assets/kit-h4oa8skV.js",
			"assets/late-B0fyBe28.js",
			"assets/late-BSJwvIFi.js",
			"assets/late-Bnedbeee.js",
			"assets/late-CmEnfTb9.js",
			"assets/late-DA-AkDnt.js",
			"assets/late-DGCXff02.js",
			"assets/layerActions-wCerupIy.js",
			"assets/lessons-DIQ9SaoK.js",
			"assets/modelOffers-CHSCgFvu.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-Wdy8adg2.js",
			"assets/palette-DId1GuJu.js",
			"assets/pictures-D0zBs8Ja.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-UlZcWPKW.js",
			"assets/resolve-Cwzu2WuF.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-DxYf99K5.js",
			"assets/saving-BvcxHDX9.js",
			"assets/share-B4HklshJ.js",
			"assets/shared-BD4mrwUL.js",
			"assets/shared-BKU38BBS.css",
			"assets/sides-B-QtiXrT.js",
			"assets/start-BrR3x3Pd.js",
			"assets/starting-DWKix8js.js",
			"assets/states-IFzgfSLf.js",
			"assets/steps-DAGMkLR1.js",
			"assets/taking-BDJg2t7r.js",
			"assets/typeTexts-BQY_D_Ad.js",
			"assets/useConnection-C1MXoa1g.js",
			"assets/useFile-B6qnY8jB.js",
			"assets/useZoom-CML3X6uw.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-CToHVixW.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-CZ70ngHV.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-JjaPfaOZ.js"
		]
	});
})();
